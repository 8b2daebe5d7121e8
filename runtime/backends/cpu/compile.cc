#include "runtime/backends/cpu/compile.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/backends/cpu/conversion.h"

namespace wsi::cpu {
namespace {

Status ExpectOperand(const LaunchSpec& launch, std::string_view kind, size_t i,
                     const OperandSpec* operand, DType dtype, const Shape* shape) {
  if (operand == nullptr) return {};
  if (operand->dtype != dtype) {
    return CompileError(launch, fmt::format("{} {} is {}; the kernel wants {}", kind, i,
                                            DTypeName(operand->dtype), DTypeName(dtype)));
  }
  if (shape != nullptr && operand->shape != *shape) {
    return CompileError(launch, fmt::format("{} {} has shape {}; expected {}", kind, i,
                                            operand->shape.ToString(), shape->ToString()));
  }
  return {};
}

const OperandSpec* InputOrNull(const LaunchSpec& launch, size_t i) {
  return HasInput(launch, i) ? &launch.inputs[i] : nullptr;
}
const OperandSpec* OutputOrNull(const LaunchSpec& launch, size_t i) {
  return HasOutput(launch, i) ? &launch.outputs[i] : nullptr;
}

}  // namespace

Status CompileError(const LaunchSpec& launch, std::string_view what) {
  return InvalidInput(fmt::format("{} '{}' on cpu: {}", launch.op, launch.node, what));
}

bool HasInput(const LaunchSpec& launch, size_t i) {
  return i < launch.inputs.size() && launch.inputs[i].present;
}
bool HasOutput(const LaunchSpec& launch, size_t i) {
  return i < launch.outputs.size() && launch.outputs[i].present;
}

Status ExpectOperands(const LaunchSpec& launch, size_t min_inputs, size_t max_inputs,
                      size_t min_outputs, size_t max_outputs) {
  bool fine = launch.inputs.size() <= max_inputs && launch.outputs.size() <= max_outputs;
  for (size_t i = 0; i < min_inputs; ++i) fine = fine && HasInput(launch, i);
  for (size_t i = 0; i < min_outputs; ++i) fine = fine && HasOutput(launch, i);
  if (fine) return {};
  return CompileError(
      launch, fmt::format("{} inputs and {} outputs; takes {} to {} and gives {} to {}",
                          launch.inputs.size(), launch.outputs.size(), min_inputs, max_inputs,
                          min_outputs, max_outputs));
}

Status ExpectInput(const LaunchSpec& launch, size_t i, DType dtype) {
  return ExpectOperand(launch, "input", i, InputOrNull(launch, i), dtype, nullptr);
}
Status ExpectInput(const LaunchSpec& launch, size_t i, DType dtype, const Shape& shape) {
  return ExpectOperand(launch, "input", i, InputOrNull(launch, i), dtype, &shape);
}
Status ExpectFloat(const LaunchSpec& launch, size_t i) {
  const OperandSpec* operand = InputOrNull(launch, i);
  if (operand == nullptr || operand->dtype == DType::kF32 || IsHalf(operand->dtype)) return {};
  return CompileError(launch, fmt::format("input {} is {}, expected f32, f16 or bf16", i,
                                          DTypeName(operand->dtype)));
}
Status ExpectOutput(const LaunchSpec& launch, size_t i, DType dtype) {
  return ExpectOperand(launch, "output", i, OutputOrNull(launch, i), dtype, nullptr);
}
Status ExpectOutput(const LaunchSpec& launch, size_t i, DType dtype, const Shape& shape) {
  return ExpectOperand(launch, "output", i, OutputOrNull(launch, i), dtype, &shape);
}

Chunks ChunksOf(int64_t items, int64_t item_elements, int64_t elements) {
  int64_t grain = std::max<int64_t>(1, elements / std::max<int64_t>(1, item_elements));
  grain = std::max(grain, CeilDiv(items, ThreadPool::kMaxChunks));
  return {.items = items, .grain = grain};
}

}  // namespace wsi::cpu
