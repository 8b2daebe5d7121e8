#include "runtime/slides/synth_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <thread>

#include "runtime/base/content_hash.h"
#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/slides/synth.h"
#include "runtime/slides/tiff_pyramid.h"

namespace wsi {
namespace {

constexpr int64_t kMaxCount = 100000;
constexpr int64_t kSideStep = 64;
constexpr int64_t kSlideNode = 0x51D3;  // Of the random words that sizes and seeds come from.

Status CheckSetOptions(const SyntheticSetOptions& o) {
  if (o.count < 1 || o.count > kMaxCount) {
    return UsageError(fmt::format("{} slides; allowed are 1 to {}", o.count, kMaxCount));
  }
  if (o.classes < 2 || o.classes > kMaxSyntheticClasses) {
    return UsageError(
        fmt::format("{} classes; allowed are 2 to {}", o.classes, kMaxSyntheticClasses));
  }
  if (o.min_side < 1 || o.min_side > o.max_side) {
    return UsageError(fmt::format("sides from {} to {}", o.min_side, o.max_side));
  }
  if (!(o.test_fraction >= 0 && o.test_fraction < 1)) {
    return UsageError(fmt::format("test fraction {}; allowed is [0, 1)", o.test_fraction));
  }
  if (o.threads < 1) return UsageError(fmt::format("{} threads", o.threads));
  return {};
}

SyntheticSlideSpec SpecOf(const SyntheticSetOptions& options, int64_t index) {
  const PhiloxStream stream(static_cast<int64_t>(options.seed), 0, kSlideNode);
  const std::array<uint32_t, 4> words = stream.Block(index);
  const auto side = [&](uint32_t word) {
    const auto steps = static_cast<uint32_t>((options.max_side - options.min_side) / kSideStep + 1);
    return options.min_side + kSideStep * static_cast<int64_t>(word % steps);
  };
  return {.width = side(words[0]),
          .height = side(words[1]),
          .class_index = index % options.classes,
          .lesions = options.lesions,
          .seed = (uint64_t{words[2]} << 32U) | words[3]};
}

// The last floor(test_fraction * n) of a class's n slides, at least one, are for testing.
std::string SplitOf(const SyntheticSetOptions& options, int64_t index) {
  if (options.test_fraction == 0) return "";
  const int64_t class_index = index % options.classes;
  const int64_t of_class = (options.count - class_index + options.classes - 1) / options.classes;
  const auto tests =
      std::max<int64_t>(1, std::llround(options.test_fraction * static_cast<double>(of_class)));
  return index / options.classes >= of_class - tests ? "test" : "train";
}

Result<SlideRow> MakeSlide(const SyntheticSetOptions& options, int64_t index) {
  const SyntheticSlideSpec spec = SpecOf(options, index);
  WSI_ASSIGN_OR_RETURN(const SlidePainter painter, SlidePainter::Make(spec));
  SlideRow row;
  row.slide_id = fmt::format("slide-{:04}", index);
  row.case_id = fmt::format("case-{:04}", index);
  row.path = (std::filesystem::path(options.folder) / (row.slide_id + ".tiff")).string();
  row.label = SyntheticClassName(spec.class_index, options.classes);
  row.class_index = spec.class_index;
  row.mpp = options.mpp;
  row.split = SplitOf(options, index);
  const PyramidOptions pyramid{.width = spec.width,
                               .height = spec.height,
                               .mpp = options.mpp,
                               .level_factor = options.level_factor,
                               .jpeg_quality = options.jpeg_quality,
                               .description = fmt::format("Synthetic slide: class {}, seed {}, {}",
                                                          row.label, options.seed, row.slide_id),
                               .force = options.force};
  WSI_RETURN_IF_ERROR(WritePyramid(row.path, pyramid, [&](int64_t x, int64_t y, auto rgb) {
    painter.Paint(x, y, kPyramidTile, kPyramidTile, rgb);
  }));
  WSI_ASSIGN_OR_RETURN(row.hash, HashFile(row.path));
  return row;
}

}  // namespace

std::string SyntheticClassName(int64_t class_index, int64_t classes) {
  if (class_index == 0) return "normal";
  return classes == 2 ? "tumor" : fmt::format("tumor-{}", class_index);
}

Result<std::vector<SlideRow>> MakeSyntheticSet(
    const SyntheticSetOptions& options,
    const std::function<void(const std::string& path)>& progress) {
  WSI_RETURN_IF_ERROR(CheckSetOptions(options));
  const std::string manifest = (std::filesystem::path(options.folder) / "slides.csv").string();
  WSI_RETURN_IF_ERROR(CheckOutputPath(manifest, options.force));
  for (int64_t i = 0; i < options.count; ++i) {  // Before any file: every slide can be made.
    WSI_RETURN_IF_ERROR(SlidePainter::Make(SpecOf(options, i)).status());
  }
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) return IoError(fmt::format("{}: {}", options.folder, error.message()));

  std::vector<SlideRow> rows(static_cast<size_t>(options.count));
  std::atomic<int64_t> next = 0;
  std::mutex mutex;  // Guards `failure` and calls of `progress`.
  Status failure;
  const auto work = [&] {
    for (int64_t i = next.fetch_add(1); i < options.count; i = next.fetch_add(1)) {
      Result<SlideRow> row = MakeSlide(options, i);
      const std::scoped_lock lock(mutex);
      if (!row.ok()) {
        if (failure.ok()) failure = row.status();
        next.store(options.count);
        return;
      }
      rows[static_cast<size_t>(i)] = std::move(row).value();
      if (progress) progress(rows[static_cast<size_t>(i)].path);
    }
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < options.threads; ++i) others.emplace_back(work);
    work();
  }
  WSI_RETURN_IF_ERROR(failure);
  WSI_RETURN_IF_ERROR(WriteManifest(manifest, rows, options.force));
  return rows;
}

}  // namespace wsi
