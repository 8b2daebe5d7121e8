#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

bool Matches(char letter, DType dtype) {
  switch (letter) {
    case 'F': return dtype == DType::kF64;
    case 'L': return dtype == DType::kI64;
    case 'B': return dtype == DType::kBool;
    case 'X': return dtype == DType::kU8 || dtype == DType::kI32;
    default: return !IsFloat(dtype) || dtype == DType::kF64;
  }
}

std::string_view Wanted(char letter) {
  switch (letter) {
    case 'F': return "f64";
    case 'L': return "i64";
    case 'B': return "bool";
    case 'X': return "u8 or i32";
    default: return "f64 or no float";
  }
}

constexpr OperandLetters kLetters = {.backend = "reference", .matches = Matches, .wanted = Wanted};

}  // namespace

LaunchCheck::LaunchCheck(const LaunchSpec& launch) : wsi::LaunchCheck(launch, kLetters) {}

}  // namespace wsi::reference
