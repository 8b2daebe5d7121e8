#include "runtime/backends/cuda/compile.h"

#include <fmt/format.h>

namespace wsi::cuda {
namespace {

bool Matches(char letter, DType dtype) {
  switch (letter) {
    case 'F': return IsFloat(dtype);
    case 'S': return dtype == DType::kF32;
    case 'L': return dtype == DType::kI64;
    case 'B': return dtype == DType::kBool;
    case 'X': return dtype == DType::kU8 || dtype == DType::kI32;
    default: return true;
  }
}

std::string_view Wanted(char letter) {
  switch (letter) {
    case 'F': return "a float";
    case 'S': return "f32";
    case 'L': return "i64";
    case 'B': return "bool";
    case 'X': return "u8 or i32";
    default: return "any type";
  }
}

constexpr OperandLetters kLetters = {.backend = "cuda", .matches = Matches, .wanted = Wanted};

}  // namespace

LaunchCheck::LaunchCheck(const LaunchSpec& launch) : wsi::LaunchCheck(launch, kLetters) {}

std::string FaultText(const LaunchSpec& launch, std::string_view what) {
  return fmt::format("{} '{}' on cuda: {}", launch.op, launch.node, what);
}

Status RequireWorkspace(const LaunchSpec& launch, Bytes bytes) {
  if (bytes <= launch.workspace_bytes) return {};
  return CompileError(
      launch, fmt::format("wants {} of workspace ({} bytes), its plan gives it {} ({} bytes); make "
                          "the plan anew with this version's wsic",
                          FormatBytes(bytes), bytes, FormatBytes(launch.workspace_bytes),
                          launch.workspace_bytes));
}

Status CompileError(const LaunchSpec& launch, std::string_view what) {
  return InvalidInput(FaultText(launch, what));
}

}  // namespace wsi::cuda
