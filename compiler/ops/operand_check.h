// Checks of operand types for OpDef::infer. Positions in messages count from 0.
#pragma once

#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {

using InferredTypes = Result<std::vector<TensorType>>;
using InferFunction = InferredTypes (*)(const OpView&);

// The type of statistics, losses and norms over elements of type `dtype`.
constexpr DType StatisticsType(DType dtype) {
  return dtype == DType::kF64 ? DType::kF64 : DType::kF32;
}

constexpr bool IsHalf(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

// Each checks input i where it is present, unless it says otherwise.
Status WantFloat(const OpView& op, int i);
Status WantNumber(const OpView& op, int i);  // Anything but bool.
Status WantInteger(const OpView& op, int i);
Status WantType(const OpView& op, int i, DType wanted);
Status WantSameType(const OpView& op, int i, int as);
Status WantShape(const OpView& op, int i, const Shape& wanted);
Status WantSameShape(const OpView& op, int i, int as);
Status WantRank(const OpView& op, int i, int low, int high);
// A float of rank 0, single or double precision.
Status WantFloatScalar(const OpView& op, int i);
// Present.
Status WantInput(const OpView& op, int i);

// The type of a sum over elements of input 0: that input's own, or f32 where it is half
// precision and the attribute dtype asks for that.
Result<DType> CheckedSumType(const OpView& op);

inline TensorType TypeOf(const Value& value) { return {value.dtype, value.shape}; }
// The type of input 0.
InferredTypes SameAsInput(const OpView& op);

}  // namespace wsi
