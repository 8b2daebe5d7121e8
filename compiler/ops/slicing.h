// Slices with steps, and their gradient.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kSlice;
extern const OpDef kSliceGrad;

// The canonical attributes of ONNX's Slice on a tensor of shape `shape`: negative and
// out-of-range bounds are brought into range. Empty `axes`: the first starts.size() axes;
// empty `steps`: ones.
Result<Attributes> NormalizeSlice(const Shape& shape, std::span<const int64_t> starts,
                                  std::span<const int64_t> ends, std::span<const int64_t> axes,
                                  std::span<const int64_t> steps);

}  // namespace wsi
