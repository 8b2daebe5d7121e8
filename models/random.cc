#include "models/random.h"

#include <array>
#include <cmath>

#include "runtime/base/philox.h"

namespace wsi {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLn2 = 0.69314718055994530942;

// FNV-1a, 64 bits.
uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3U;
  return hash;
}

// 1, 1/3, 1/5, ... up to 1/23.
constexpr auto kOddReciprocals = [] {
  std::array<double, 12> table = {};
  for (size_t i = 0; i < table.size(); ++i) table[i] = 1.0 / static_cast<double>(2 * i + 1);
  return table;
}();

// (-1)^i / (2i + first)!: the Taylor series of cosine (first = 0) and sine (first = 1).
constexpr auto TaylorSeries(int first) {
  std::array<double, 10> table = {};
  double term = 1;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = term;
    const double n = 2 * static_cast<double>(i) + first;
    term /= -(n + 1) * (n + 2);
  }
  return table;
}
constexpr auto kCosine = TaylorSeries(0);
constexpr auto kSine = TaylorSeries(1);

// The polynomial with these coefficients, lowest first.
template <size_t N>
double Evaluate(const std::array<double, N>& coefficients, double x) {
  double sum = 0;
  for (size_t i = N; i-- > 0;) sum = sum * x + coefficients[i];
  return sum;
}

// ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)) for x = m 2^e with m in [sqrt 1/2, sqrt 2);
// the series ends below the last bit. REQUIRES: x > 0.
double Log(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1);
  return exponent * kLn2 + 2 * s * Evaluate(kOddReciprocals, s * s);
}

struct Direction {
  double cos;
  double sin;
};

// Cosine and sine of 2 pi v, v in [0, 1): Taylor series within an eighth of a turn of
// the nearest axis, then turned by quarters.
Direction Turn(double v) {
  const double quarters = std::floor(v * 4 + 0.5);
  const double angle = (v * 4 - quarters) * (kPi / 2);
  const double square = angle * angle;
  const double cosine = Evaluate(kCosine, square);
  const double sine = Evaluate(kSine, square) * angle;
  switch (static_cast<int>(quarters) % 4) {
    case 0: return {cosine, sine};
    case 1: return {-sine, cosine};
    case 2: return {-cosine, -sine};
    default: return {sine, -cosine};
  }
}

double Fraction(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace

WeightRandom::WeightRandom(uint64_t seed, std::string_view name)
    : seed_(seed), stream_(HashName(name)) {}

WeightRandom::Pair WeightRandom::Uniforms(uint64_t block) const {
  const auto low = [](uint64_t v) { return static_cast<uint32_t>(v); };
  const auto high = [](uint64_t v) { return static_cast<uint32_t>(v >> 32); };
  const PhiloxCounter words =
      Philox4x32({low(block), high(block), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
  return {Fraction(words[0], words[1]), Fraction(words[2], words[3])};
}

void WeightRandom::FillNormal(double deviation, std::span<float> to) const {
  for (size_t i = 0; i < to.size(); i += 2) {
    const Pair pair = Uniforms(i / 2);
    const double radius = std::sqrt(-2 * Log(1 - pair.u)) * deviation;
    const Direction direction = Turn(pair.v);
    to[i] = static_cast<float>(radius * direction.cos);
    if (i + 1 < to.size()) to[i + 1] = static_cast<float>(radius * direction.sin);
  }
}

void WeightRandom::FillUniform(double bound, std::span<float> to) const {
  for (size_t i = 0; i < to.size(); i += 2) {
    const Pair pair = Uniforms(i / 2);
    to[i] = static_cast<float>((2 * pair.u - 1) * bound);
    if (i + 1 < to.size()) to[i + 1] = static_cast<float>((2 * pair.v - 1) * bound);
  }
}

}  // namespace wsi
