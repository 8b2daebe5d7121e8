// Operators that move elements without computing on them.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kConcat;
extern const OpDef kExpand;
extern const OpDef kGather;
extern const OpDef kPad;
extern const OpDef kReshape;
extern const OpDef kTranspose;

// The sizes that ONNX's Reshape gives a tensor of shape `from` for the operand `requested`:
// -1 is inferred, 0 copies the input's size unless `allow_zero`.
Result<Shape> ResolveReshape(const Shape& from, std::span<const int64_t> requested,
                             bool allow_zero);

}  // namespace wsi
