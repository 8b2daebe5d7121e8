#include "runtime/slides/synth_lesion.h"

#include <array>

namespace wsi {
namespace {

// The nuclei of one class of lesion.
struct NuclearType {
  float long_axis = 0;  // semi-axes in pixels; ordinary nuclei have 3.4 to 5 by 2 to 4.7
  float short_axis = 0;
  float granularity = 0;
  float hollow = 0;
  bool aligned = false;
};
constexpr std::array<NuclearType, kMaxSyntheticClasses - 1> kTypes = {{
    {6.0F, 5.0F, 0.10F, 0.0F, false},  // large, smooth and dark
    {3.4F, 3.2F, 0.05F, 0.0F, false},  // small, round and crowded
    {7.6F, 6.6F, 0.10F, 0.9F, false},  // vesicular: a dark rim around a pale middle
    {9.0F, 2.6F, 0.10F, 0.0F, true},   // spindles side by side
}};
constexpr float kWantedCover = 0.29F;       // of the lesion's area
constexpr Colour kDarkest = {50, 16, 104};  // what the nuclei would be without compensation
constexpr float kPalest = 246;
constexpr int kTries = 400;

// Nuclei thrown at random into the circle, kept where they overlap none too much, until they
// cover the wanted part.
std::vector<Nucleus> ThrowNuclei(const Lesion& lesion, const NuclearType& type, uint32_t seed) {
  int32_t draw = 0;
  const auto uniform = [&] { return UnitFromHash(HashLattice(draw++, 2, seed)); };
  const float area = 3.14159F * type.long_axis * type.short_axis;
  const float wanted = kWantedCover * 3.14159F * lesion.radius * lesion.radius;
  const float common_angle = 3.14159F * uniform();
  std::vector<Nucleus> nuclei;
  for (int i = 0; i < kTries && static_cast<float>(nuclei.size()) * area < wanted; ++i) {
    const float distance = (lesion.radius - type.short_axis - 2) * std::sqrt(uniform());
    const float direction = 6.28319F * uniform();
    const float scale = 0.9F + 0.2F * uniform();
    const Nucleus nucleus{.x = lesion.x + distance * std::cos(direction),
                          .y = lesion.y + distance * std::sin(direction),
                          .a = type.long_axis * scale,
                          .b = type.short_axis * scale,
                          .angle = type.aligned ? common_angle : 3.14159F * uniform(),
                          .seed = seed + static_cast<uint32_t>(i),
                          .granularity = type.granularity,
                          .hollow = type.hollow};
    const bool free = std::none_of(nuclei.begin(), nuclei.end(), [&](const Nucleus& other) {
      return std::hypot(other.x - nucleus.x, other.y - nucleus.y) < 1.7F * type.short_axis;
    });
    if (free) nuclei.push_back(nucleus);
  }
  return nuclei;
}

// Colours of clearing and nuclei, such that over the lesion  sum(alpha * ground) =
// clearing * (sum(alpha) - sum(alpha * cover)) + nuclei * sum(alpha * cover)  per channel.
struct Balance {
  Colour clearing{};
  Colour nuclei{};
};

Balance BalanceColours(std::span<const float> alpha, std::span<const float> cover,
                       std::span<const uint8_t> ground) {
  double area = 0;
  double covered = 0;
  std::array<double, 3> total{};
  for (size_t i = 0; i < alpha.size(); ++i) {
    const double a = alpha[i];
    area += a;
    covered += a * static_cast<double>(cover[i]);
    for (size_t c = 0; c < 3; ++c) total[c] += a * static_cast<double>(ground[3 * i + c]);
  }
  const double open = area - covered;
  Balance balance;
  for (size_t c = 0; c < 3; ++c) {
    const double clearing =
        std::min<double>(kPalest, (total[c] - static_cast<double>(kDarkest[c]) * covered) / open);
    balance.clearing[c] = static_cast<float>(clearing);
    balance.nuclei[c] = static_cast<float>((total[c] - clearing * open) / covered);
  }
  return balance;
}

}  // namespace

LesionPixels PaintLesion(const Lesion& lesion, int64_t class_index, uint32_t seed,
                         const LesionWindow& window, std::span<const uint8_t> ground) {
  WSI_CHECK(class_index >= 1 && class_index < kMaxSyntheticClasses);
  const NuclearType& type = kTypes[static_cast<size_t>(class_index - 1)];
  const auto count = static_cast<size_t>(window.side * window.side);
  WSI_CHECK(ground.size() == count * 3);
  LesionPixels pixels;
  pixels.alpha.resize(count);
  for (int64_t j = 0; j < window.side; ++j) {
    for (int64_t i = 0; i < window.side; ++i) {
      const float r = std::hypot(static_cast<float>(window.x + i) - lesion.x,
                                 static_cast<float>(window.y + j) - lesion.y);
      pixels.alpha[static_cast<size_t>(j * window.side + i)] =
          std::clamp((lesion.radius - r) * 0.5F + 0.5F, 0.0F, 1.0F);
    }
  }
  std::vector<float> cover(count, 0.0F);
  for (const Nucleus& nucleus : ThrowNuclei(lesion, type, seed)) {
    nucleus.Visit(window.x, window.y, window.side, window.side,
                  [&](int64_t i, int64_t j, float value) {
                    float& here = cover[static_cast<size_t>(j * window.side + i)];
                    here = std::max(here, value);
                  });
  }
  const Balance balance = BalanceColours(pixels.alpha, cover, ground);
  pixels.colour.resize(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      pixels.colour[i][c] =
          balance.clearing[c] + cover[i] * (balance.nuclei[c] - balance.clearing[c]);
    }
  }
  return pixels;
}

}  // namespace wsi
