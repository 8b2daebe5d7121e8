#include "compiler/ops/collective.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

constexpr auto kEachInPlace = [] {
  std::array<std::pair<int, int>, kMostReduced> pairs{};
  for (int i = 0; i < kMostReduced; ++i) {
    pairs[static_cast<size_t>(i)].first = i;
    pairs[static_cast<size_t>(i)].second = i;
  }
  return pairs;
}();

Result<std::vector<TensorType>> InferAllReduce(const OpView& op) {
  std::vector<TensorType> types;
  for (int i = 0; i < op.input_count(); ++i) {
    if (!op.HasInput(i)) return InvalidInput(fmt::format("input {} is absent", i));
    const DType dtype = op.input(i).dtype;
    if (dtype != DType::kF32 && dtype != DType::kF64) {
      return InvalidInput(fmt::format("input {} is {}, wants f32 or f64", i, DTypeName(dtype)));
    }
    WSI_RETURN_IF_ERROR(WantSameType(op, i, 0));
    types.push_back(TypeOf(op.input(i)));
  }
  if (op.output_count() != op.input_count()) {
    return InvalidInput(fmt::format("{} inputs and {} outputs, wants as many of both",
                                    op.input_count(), op.output_count()));
  }
  return types;
}

// What one rank pays.
Cost NoCost(const OpView&) { return {}; }

}  // namespace

bool IsCollective(const OpDef& def) { return &def == &kAllReduce; }

constinit const OpDef kAllReduce = {
    .name = "AllReduce",
    .is_onnx = false,
    .summary =
        "x, ... -> the mean of each x over all ranks, written over it; runs beside the "
        "compute lane; with one rank it is nothing",
    .max_inputs = kMostReduced,
    .max_outputs = kMostReduced,
    .infer = InferAllReduce,
    .gradient = {.none_because = "inserted behind differentiation"},
    .cost = NoCost,
    .half = HalfPolicy::kFloat32,
    .rows = RowKind::kNone,
    .in_place = kEachInPlace};

}  // namespace wsi
