#include "runtime/slides/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/slides/synth_lesion.h"
#include "runtime/slides/value_noise.h"

namespace wsi {
namespace {

constexpr int64_t kFibreSide = 512;     // pixels; a power of two
constexpr int64_t kFieldCell = 16;      // pixels between samples of the slow fields
constexpr int64_t kNucleusPitch = 17;   // pixels between nuclei, before jitter
constexpr int64_t kNucleusReach = 7;    // the farthest that a nucleus paints from its centre
constexpr float kEdgeMargin = 12;       // pixels between a lesion and the outline
constexpr int kPlacementTries = 20000;  // per lesion

constexpr Colour kGlass = {243, 242, 244};
constexpr Colour kFibreTint = {-7, -19, -11};  // for the darkest fibre
constexpr Colour kBlotchTint = {4, 9, 6};      // for slow variation over the tissue

// Seeds of the independent noises of one slide.
enum Noise : uint32_t {
  kOutline = 0x1000,
  kOutlineDetail,
  kWarp,
  kBlotch,
  kDensity,
  kGrain,
  kNucleus,
  kPlaces,
  kStain,
  kPatches,
};

uint8_t ToByte(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); }

// Noise drawn out along x, which repeats after kFibreSide pixels both ways.
std::vector<int8_t> MakeFibres(uint32_t seed) {
  std::vector<int8_t> texture(static_cast<size_t>(kFibreSide * kFibreSide));
  // Lattice cells of 64 x 8 and 32 x 4 pixels; the lattice index wraps.
  const auto layer = [seed](int64_t x, int64_t y, int64_t cell_x, int64_t cell_y, uint32_t salt) {
    const auto at = [&](int64_t i, int64_t j) {
      return UnitFromHash(HashLattice(static_cast<int32_t>(i % (kFibreSide / cell_x)),
                                      static_cast<int32_t>(j % (kFibreSide / cell_y)),
                                      seed + salt));
    };
    const float tx = static_cast<float>(x % cell_x) / static_cast<float>(cell_x);
    const float ty = static_cast<float>(y % cell_y) / static_cast<float>(cell_y);
    const int64_t i = x / cell_x;
    const int64_t j = y / cell_y;
    const float top = at(i, j) + tx * (at(i + 1, j) - at(i, j));
    const float bottom = at(i, j + 1) + tx * (at(i + 1, j + 1) - at(i, j + 1));
    return top + ty * (bottom - top);
  };
  for (int64_t y = 0; y < kFibreSide; ++y) {
    for (int64_t x = 0; x < kFibreSide; ++x) {
      const float value = layer(x, y, 64, 8, 1) + 0.7F * layer(x, y, 32, 4, 2) - 0.85F;
      texture[static_cast<size_t>(y * kFibreSide + x)] =
          static_cast<int8_t>(std::clamp(value * 150, -127.0F, 127.0F));
    }
  }
  return texture;
}

// The slow fields at the corners of the cells that cover a window.
class Fields {
 public:
  Fields(int64_t x, int64_t y, int64_t w, int64_t h)
      : first_x_(FloorCell(x)), first_y_(FloorCell(y)) {
    columns_ = FloorCell(x + w - 1) - first_x_ + 2;
    rows_ = FloorCell(y + h - 1) - first_y_ + 2;
  }
  static int64_t FloorCell(int64_t v) {
    return v >= 0 ? v / kFieldCell : -((-v + kFieldCell - 1) / kFieldCell);
  }

  template <typename F>
  std::vector<float> Sample(F&& field) const {
    std::vector<float> values;
    values.reserve(static_cast<size_t>(columns_ * rows_));
    for (int64_t j = 0; j < rows_; ++j) {
      for (int64_t i = 0; i < columns_; ++i) {
        values.push_back(field(static_cast<float>((first_x_ + i) * kFieldCell),
                               static_cast<float>((first_y_ + j) * kFieldCell)));
      }
    }
    return values;
  }

  // values interpolated to image row `y`, one per cell corner.
  void Row(const std::vector<float>& values, int64_t y, std::vector<float>& out) const {
    const int64_t j = FloorCell(y) - first_y_;
    const float t = static_cast<float>(y - FloorCell(y) * kFieldCell) / float{kFieldCell};
    out.resize(static_cast<size_t>(columns_));
    const float* top = values.data() + j * columns_;
    const float* bottom = top + columns_;
    for (int64_t i = 0; i < columns_; ++i)
      out[static_cast<size_t>(i)] = top[i] + t * (bottom[i] - top[i]);
  }

  int64_t first_x() const { return first_x_ * kFieldCell; }

 private:
  int64_t first_x_ = 0;  // cells
  int64_t first_y_ = 0;
  int64_t columns_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

SlidePainter::SlidePainter(const SyntheticSlideSpec& spec)
    : spec_(spec),
      seed_(HashLattice(static_cast<int32_t>(spec.seed), static_cast<int32_t>(spec.seed >> 32U),
                        0x5EEDU)),
      fibres_(MakeFibres(seed_)) {
  // Staining differs between laboratories and days, whatever the class.
  const auto stain = [this](int32_t i) {
    return 2 * UnitFromHash(HashLattice(i, 0, seed_ + kStain)) - 1;
  };
  stroma_ = {208 + 5 * stain(0), 158 + 9 * stain(1), 186 + 7 * stain(2)};
  nucleus_ = {106 + 8 * stain(3), 74 + 8 * stain(4), 146 + 8 * stain(5)};
  cellularity_ = 0.58F + 0.1F * stain(6);
}

float SlidePainter::TissueDepth(float x, float y) const {
  const auto w = static_cast<float>(spec_.width);
  const auto h = static_cast<float>(spec_.height);
  const float side = std::min(w, h);
  const float u = 2 * x / w - 1;
  const float v = 2 * y / h - 1;
  const float coarse = ValueNoise(4 * x / side, 4 * y / side, seed_ + kOutline);
  const float fine = ValueNoise(x / 60, y / 60, seed_ + kOutlineDetail);
  const float inside = 0.82F - u * u * u * u - v * v * v * v + 0.22F * coarse;
  return inside * side / 4 + 4 * fine;
}

void SlidePainter::PaintGround(int64_t x, int64_t y, int64_t w, int64_t h,
                               std::span<uint8_t> rgb) const {
  const Fields fields(x, y, w, h);
  const auto depth = fields.Sample([this](float a, float b) { return TissueDepth(a, b); });
  const auto warp = fields.Sample([this](float a, float b) {
    return 120 * ValueNoise(a / 240, b / 240, seed_ + kWarp) + 4096;
  });
  const auto blotch = fields.Sample(
      [this](float a, float b) { return ValueNoise(a / 170, b / 170, seed_ + kBlotch); });
  std::vector<float> depth_row;
  std::vector<float> warp_row;
  std::vector<float> blotch_row;
  for (int64_t j = 0; j < h; ++j) {
    fields.Row(depth, y + j, depth_row);
    fields.Row(warp, y + j, warp_row);
    fields.Row(blotch, y + j, blotch_row);
    uint8_t* out = rgb.data() + j * w * 3;
    for (int64_t i = 0; i < w; ++i) {
      const int64_t offset = x + i - fields.first_x();
      const auto cell = static_cast<size_t>(offset / kFieldCell);
      const float t = static_cast<float>(offset % kFieldCell) / float{kFieldCell};
      const auto at = [&](const std::vector<float>& row) {
        return row[cell] + t * (row[cell + 1] - row[cell]);
      };
      const uint32_t hash =
          HashLattice(static_cast<int32_t>(x + i), static_cast<int32_t>(y + j), seed_ + kGrain);
      const float grain = UnitFromHash(hash) - 0.5F;
      const float tissue = std::clamp(at(depth_row) * 0.4F + 0.5F, 0.0F, 1.0F);
      const int64_t v = y + j + static_cast<int64_t>(at(warp_row));
      const float fibre =
          static_cast<float>(fibres_[static_cast<size_t>((v & (kFibreSide - 1)) * kFibreSide +
                                                         ((x + i) & (kFibreSide - 1)))]) /
          127.0F;
      const float slow = at(blotch_row);
      for (size_t c = 0; c < 3; ++c) {
        const float pink = stroma_[c] + fibre * kFibreTint[c] + slow * kBlotchTint[c] + grain * 9;
        const float glass = kGlass[c] + grain * 2;
        out[3 * i + static_cast<int64_t>(c)] = ToByte(glass + tissue * (pink - glass));
      }
    }
  }
}

void SlidePainter::PaintNuclei(int64_t x, int64_t y, int64_t w, int64_t h,
                               std::span<uint8_t> rgb) const {
  const auto cell_of = [](int64_t v) {
    return v >= 0 ? v / kNucleusPitch : -((-v + kNucleusPitch - 1) / kNucleusPitch);
  };
  // Jitter moves a centre within its own cell only.
  const int64_t left = cell_of(x - kNucleusReach);
  const int64_t right = cell_of(x + w + kNucleusReach);
  const int64_t bottom = cell_of(y + h + kNucleusReach);
  for (int64_t cy = cell_of(y - kNucleusReach); cy <= bottom; ++cy) {
    for (int64_t cx = left; cx <= right; ++cx) {
      const auto draw = [&](uint32_t salt) {
        return UnitFromHash(HashLattice(static_cast<int32_t>(cx), static_cast<int32_t>(cy),
                                        seed_ + kNucleus + (salt << 16U)));
      };
      const float px = (static_cast<float>(cx) + draw(1)) * float{kNucleusPitch};
      const float py = (static_cast<float>(cy) + draw(2)) * float{kNucleusPitch};
      const float density = ValueNoise(px / 130, py / 130, seed_ + kDensity);
      if (draw(0) > cellularity_ + 0.3F * density || TissueDepth(px, py) < 5) continue;
      const float a = 3.4F + 1.6F * draw(3);
      Nucleus nucleus{.x = px,
                      .y = py,
                      .a = a,
                      .b = a * (0.6F + 0.35F * draw(4)),
                      .angle = 3.14159F * draw(5),
                      .seed = seed_ + static_cast<uint32_t>(cx * 31 + cy * 17)};
      const float tone = 20 * (draw(6) - 0.5F);
      nucleus.Visit(x, y, w, h, [&](int64_t i, int64_t j, float cover) {
        uint8_t* pixel = rgb.data() + (j * w + i) * 3;
        for (size_t c = 0; c < 3; ++c) {
          const auto ground = static_cast<float>(pixel[c]);
          pixel[c] = ToByte(ground + 0.9F * cover * (nucleus_[c] + tone - ground));
        }
      });
    }
  }
}

void SlidePainter::PaintLesions(int64_t x, int64_t y, int64_t w, int64_t h,
                                std::span<uint8_t> rgb) const {
  for (const Patch& patch : patches_) {
    const int64_t right = std::min(x + w, patch.x + patch.side);
    const int64_t bottom = std::min(y + h, patch.y + patch.side);
    for (int64_t py = std::max(y, patch.y); py < bottom; ++py) {
      for (int64_t px = std::max(x, patch.x); px < right; ++px) {
        const auto at = static_cast<size_t>((py - patch.y) * patch.side + px - patch.x);
        uint8_t* pixel = rgb.data() + ((py - y) * w + px - x) * 3;
        for (size_t c = 0; c < 3; ++c) {
          const auto ground = static_cast<float>(pixel[c]);
          pixel[c] = ToByte(ground + patch.alpha[at] * (patch.colour[at][c] - ground));
        }
      }
    }
  }
}

void SlidePainter::Paint(int64_t x, int64_t y, int64_t w, int64_t h, std::span<uint8_t> rgb) const {
  WSI_CHECK(rgb.size() == static_cast<size_t>(w * h * 3));
  PaintGround(x, y, w, h, rgb);
  PaintNuclei(x, y, w, h, rgb);
  PaintLesions(x, y, w, h, rgb);
}

Status SlidePainter::PlaceLesions() {
  // Places depend on the seed alone, so the same seed with class 0 is the same slide without.
  int32_t draw = 0;
  const auto uniform = [&] { return UnitFromHash(HashLattice(draw++, 1, seed_ + kPlaces)); };
  for (int tries = 0; static_cast<int64_t>(lesions_.size()) < spec_.lesions; ++tries) {
    if (tries >= kPlacementTries) {
      return UsageError(fmt::format("a slide of {} x {} pixels has no room for {} lesions",
                                    spec_.width, spec_.height, spec_.lesions));
    }
    Lesion lesion{.x = uniform() * static_cast<float>(spec_.width),
                  .y = uniform() * static_cast<float>(spec_.height),
                  .radius = 16 + 5 * uniform()};
    const bool apart = std::none_of(lesions_.begin(), lesions_.end(), [&](const Lesion& other) {
      return std::hypot(other.x - lesion.x, other.y - lesion.y) < 4 * (lesion.radius + 1);
    });
    if (apart && TissueDepth(lesion.x, lesion.y) > kEdgeMargin + lesion.radius) {
      lesions_.push_back(lesion);
    }
  }
  return {};
}

SlidePainter::Patch SlidePainter::MakePatch(const Lesion& lesion, uint32_t seed) const {
  Patch patch;
  const auto reach = static_cast<int64_t>(std::ceil(lesion.radius)) + 2;
  patch.side = 2 * reach + 1;
  patch.x = static_cast<int64_t>(lesion.x) - reach;
  patch.y = static_cast<int64_t>(lesion.y) - reach;
  std::vector<uint8_t> ground(static_cast<size_t>(patch.side * patch.side * 3));
  PaintGround(patch.x, patch.y, patch.side, patch.side, ground);
  PaintNuclei(patch.x, patch.y, patch.side, patch.side, ground);
  const LesionWindow window{.x = patch.x, .y = patch.y, .side = patch.side};
  LesionPixels pixels = PaintLesion(lesion, spec_.class_index, seed, window, ground);
  patch.alpha = std::move(pixels.alpha);
  patch.colour = std::move(pixels.colour);
  return patch;
}

Result<SlidePainter> SlidePainter::Make(const SyntheticSlideSpec& spec) {
  constexpr int64_t kSmallest = 128;
  constexpr int64_t kLargest = int64_t{1} << 20;
  if (std::min(spec.width, spec.height) < kSmallest ||
      std::max(spec.width, spec.height) > kLargest) {
    return UsageError(
        fmt::format("a synthetic slide of {} x {} pixels; allowed are {} to {} a side", spec.width,
                    spec.height, kSmallest, kLargest));
  }
  if (spec.class_index < 0 || spec.class_index >= kMaxSyntheticClasses || spec.lesions < 1 ||
      spec.lesions > 1000) {
    return UsageError(fmt::format("class {} of at most {}, {} lesions of 1 to 1000",
                                  spec.class_index, kMaxSyntheticClasses, spec.lesions));
  }
  SlidePainter painter(spec);
  if (spec.class_index == 0) return painter;
  WSI_RETURN_IF_ERROR(painter.PlaceLesions());
  for (size_t i = 0; i < painter.lesions_.size(); ++i) {
    const uint32_t seed = painter.seed_ + kPatches + static_cast<uint32_t>(i) * 7919;
    painter.patches_.push_back(painter.MakePatch(painter.lesions_[i], seed));
  }
  return painter;
}

}  // namespace wsi
