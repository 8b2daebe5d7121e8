#include "frontends/onnx/meant_number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "runtime/base/status.h"

namespace wsi {
namespace {

std::optional<double> ShortDecimal(float stored) {
  constexpr int kMostDigits = 6;
  std::array<char, 32> text{};
  const auto [end, error] =
      std::to_chars(text.begin(), text.end(), stored, std::chars_format::scientific);
  WSI_CHECK(error == std::errc());
  const std::string_view number(text.begin(), end);
  const std::string_view mantissa = number.substr(0, number.find('e'));
  if (std::ranges::count_if(mantissa, [](char c) { return c >= '0' && c <= '9'; }) > kMostDigits) {
    return std::nullopt;
  }
  double meant = 0;
  WSI_CHECK(std::from_chars(text.begin(), end, meant).ec == std::errc());
  return meant;
}

std::optional<double> SmallFraction(float stored) {
  constexpr int kLargest = 64;
  for (int below = 3; below <= kLargest; ++below) {
    const double above = std::round(static_cast<double>(stored) * below);
    if (above == 0 || std::abs(above) > kLargest) continue;
    if (static_cast<float>(above / below) == stored) return above / below;
  }
  return std::nullopt;
}

std::optional<double> Root(float stored) {
  constexpr double kLargest = 1 << 20;
  const double square = static_cast<double>(stored) * static_cast<double>(stored);
  const double whole = std::round(square > 1 ? square : 1 / square);
  if (!(whole > 1 && whole <= kLargest)) return std::nullopt;
  const double size = square > 1 ? std::sqrt(whole) : 1 / std::sqrt(whole);
  const double root = std::copysign(size, static_cast<double>(stored));
  if (static_cast<float>(root) != stored) return std::nullopt;
  return root;
}

}  // namespace

double MeantNumber(float stored) {
  const auto exact = static_cast<double>(stored);
  constexpr double kLargest = 1e30;  // Far from where rounding to a float overflows.
  if (!(std::abs(exact) < kLargest)) return exact;
  if (const auto decimal = ShortDecimal(stored)) return *decimal;
  if (const auto fraction = SmallFraction(stored)) return *fraction;
  return Root(stored).value_or(exact);
}

}  // namespace wsi
