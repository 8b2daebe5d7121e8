// Evaluation of operators of two broadcast operands on constants.
#pragma once

#include "compiler/ops/evaluate.h"

namespace wsi {

FoldedTensors FoldAdd(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldSub(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldMul(const OpView& op, std::span<const Tensor* const> inputs);
// Integers truncate toward zero and must not be divided by zero, also in Mod.
FoldedTensors FoldDiv(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldMod(const OpView& op, std::span<const Tensor* const> inputs);
// A negative integer exponent is an error unless the base is 1 or -1.
FoldedTensors FoldPow(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldMax(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldMin(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldEqual(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldGreater(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldLess(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldAnd(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldOr(const OpView& op, std::span<const Tensor* const> inputs);
FoldedTensors FoldWhere(const OpView& op, std::span<const Tensor* const> inputs);

}  // namespace wsi
