#include "compiler/ops/memory.h"

#include "compiler/ops/attribute_check.h"

namespace wsi {
namespace {

constexpr std::string_view kNotDifferentiated = "inserted behind differentiation";

Result<std::vector<TensorType>> InferCopy(const OpView& op) {
  return std::vector<TensorType>{{op.input(0).dtype, op.input_shape(0)}};
}

Result<std::vector<TensorType>> InferNothing(const OpView&) { return std::vector<TensorType>{}; }

Result<std::vector<TensorType>> InferGroupEnd(const OpView& op) {
  WSI_RETURN_IF_ERROR(CheckedFlag(op.attributes(), "barrier", false).status());
  return std::vector<TensorType>{};
}

}  // namespace

constinit const OpDef kCopy = {
    .name = "Copy",
    .is_onnx = false,
    .summary =
        "x -> y in the tier of y, the next to that of x; runs beside the compute lane, and "
        "whoever needs its result or its memory waits",
    .infer = InferCopy,
    .gradient = {.none_because = kNotDifferentiated},
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kNone,
    .lowers_to = LowersTo::kCopy};

constinit const OpDef kHold = {
    .name = "Hold",
    .is_onnx = false,
    .summary = "x -> nothing; x keeps its memory until here, for a copy that still reads it",
    .min_outputs = 0,
    .max_outputs = 0,
    .infer = InferNothing,
    .gradient = {.none_because = kNotDifferentiated},
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kNone,
    .lowers_to = LowersTo::kNothing};

constinit const OpDef kGroupEnd = {
    .name = "GroupEnd",
    .is_onnx = false,
    .summary = "the end of a group {barrier=0; 1: every lane waits for every other}",
    .min_inputs = 0,
    .max_inputs = 0,
    .min_outputs = 0,
    .max_outputs = 0,
    .infer = InferGroupEnd,
    .gradient = {.none_because = kNotDifferentiated},
    .half = HalfPolicy::kNeutral,
    .rows = RowKind::kNone,
    .lowers_to = LowersTo::kBarrier};

}  // namespace wsi
