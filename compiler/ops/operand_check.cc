#include "compiler/ops/operand_check.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"

namespace wsi {
namespace {

Status WrongType(const OpView& op, int i, std::string_view wanted) {
  return InvalidInput(
      fmt::format("input {} is {}, wants {}", i, DTypeName(op.input(i).dtype), wanted));
}

}  // namespace

Status WantFloat(const OpView& op, int i) {
  if (!op.HasInput(i) || IsFloat(op.input(i).dtype)) return {};
  return WrongType(op, i, "floats");
}

Status WantNumber(const OpView& op, int i) {
  if (!op.HasInput(i) || op.input(i).dtype != DType::kBool) return {};
  return WrongType(op, i, "numbers");
}

Status WantInteger(const OpView& op, int i) {
  if (!op.HasInput(i)) return {};
  const DType dtype = op.input(i).dtype;
  if (!IsFloat(dtype) && dtype != DType::kBool) return {};
  return WrongType(op, i, "integers");
}

Status WantType(const OpView& op, int i, DType wanted) {
  if (!op.HasInput(i) || op.input(i).dtype == wanted) return {};
  return WrongType(op, i, DTypeName(wanted));
}

Status WantSameType(const OpView& op, int i, int as) {
  if (!op.HasInput(i) || op.input(i).dtype == op.input(as).dtype) return {};
  return WrongType(op, i, fmt::format("{} as input {}", DTypeName(op.input(as).dtype), as));
}

Status WantShape(const OpView& op, int i, const Shape& wanted) {
  if (!op.HasInput(i) || op.input_shape(i) == wanted) return {};
  return InvalidInput(fmt::format("input {} has shape {}, wants {}", i,
                                  op.input_shape(i).ToString(), wanted.ToString()));
}

Status WantSameShape(const OpView& op, int i, int as) {
  return WantShape(op, i, op.input_shape(as));
}

Status WantRank(const OpView& op, int i, int low, int high) {
  if (!op.HasInput(i)) return {};
  const int rank = op.input_shape(i).rank();
  if (rank >= low && rank <= high) return {};
  return InvalidInput(fmt::format(
      "input {} has rank {} (shape {}), wants {}", i, rank, op.input_shape(i).ToString(),
      low == high ? fmt::to_string(low) : fmt::format("{} to {}", low, high)));
}

Status WantFloatScalar(const OpView& op, int i) {
  if (!op.HasInput(i)) return {};
  const DType dtype = op.input(i).dtype;
  if (dtype != DType::kF32 && dtype != DType::kF64) return WrongType(op, i, "f32 or f64");
  return WantShape(op, i, Shape());
}

Status WantInput(const OpView& op, int i) {
  if (op.HasInput(i)) return {};
  return InvalidInput(fmt::format("lacks input {}", i));
}

Result<DType> CheckedSumType(const OpView& op) {
  const DType own = op.input(0).dtype;
  if (!op.attributes().Has("dtype")) return own;
  WSI_ASSIGN_OR_RETURN(const DType wanted, CheckedDType(op.attributes(), "dtype"));
  if (wanted == own || (IsHalf(own) && wanted == DType::kF32)) return wanted;
  return InvalidInput(fmt::format("attribute dtype is {}, wants {}{}", DTypeName(wanted),
                                  DTypeName(own), IsHalf(own) ? " or f32" : ""));
}

InferredTypes SameAsInput(const OpView& op) { return std::vector<TensorType>{TypeOf(op.input(0))}; }

}  // namespace wsi
