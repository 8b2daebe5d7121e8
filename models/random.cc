#include "models/random.h"

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
  const double square = s * s;
  double sum = 0;
  for (int n = 23; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return exponent * kLn2 + 2 * s * sum;
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
  double cosine = 1;
  double sine = 1;
  for (int n = 18; n >= 2; n -= 2) {
    cosine = 1 - cosine * square / (n * (n - 1));
    sine = 1 - sine * square / (n * (n + 1));
  }
  sine *= angle;
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
