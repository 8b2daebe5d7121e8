#include "runtime/base/checked.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace wsi {
namespace {

struct Unit {
  std::string_view name;
  Bytes factor;
};
constexpr std::array<Unit, 5> kUnits = {{{"TiB", Bytes{1} << 40},
                                         {"GiB", Bytes{1} << 30},
                                         {"MiB", Bytes{1} << 20},
                                         {"KiB", Bytes{1} << 10},
                                         {"B", 1}}};

}  // namespace

Result<int64_t> CheckedMul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    return InvalidInput(fmt::format("size overflows 64 bits: {} x {}", a, b));
  }
  return product;
}

Result<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return InvalidInput(fmt::format("size overflows 64 bits: {} + {}", a, b));
  }
  return sum;
}

std::string FormatBytes(Bytes bytes) {
  for (const Unit& unit : kUnits) {
    if (unit.factor > 1 && std::abs(bytes) >= unit.factor) {
      return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(unit.factor),
                         unit.name);
    }
  }
  return fmt::format("{} B", bytes);
}

Result<Bytes> ParseBytes(std::string_view text) {
  const auto bad = [&] {
    return UsageError(fmt::format("'{}' is not a size; write for example 70GiB or 512MiB", text));
  };
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return bad();
  std::string_view unit(rest, static_cast<size_t>(end - rest));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) unit = "B";
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const double bytes = number * static_cast<double>(known.factor);
    if (bytes >= 0x1p62) return bad();
    return static_cast<Bytes>(bytes);
  }
  return bad();
}

}  // namespace wsi
