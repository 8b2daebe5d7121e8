#include "runtime/slides/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <string_view>
#include <utility>

#include "runtime/base/content_hash.h"
#include "runtime/slides/slide.h"

namespace wsi {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVerifyBlock = 1024;  // pixels a side

bool LooksLikeSlide(const fs::path& path) {
  constexpr std::array<std::string_view, 10> kExtensions = {
      ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide"};
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

Result<std::vector<fs::path>> ListSlides(const std::string& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  while (!error && at != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    if (at->is_regular_file(ignored) && LooksLikeSlide(at->path())) paths.push_back(at->path());
    at.increment(error);
  }
  if (error) return IoError(fmt::format("{}: {}", folder, error.message()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<SlideRow> Describe(const fs::path& path) {
  WSI_ASSIGN_OR_RETURN(const Slide slide, Slide::Open(path.string()));
  SlideRow row;
  row.path = path.string();
  row.mpp = slide.info().mpp_x;
  WSI_ASSIGN_OR_RETURN(row.hash, HashFile(path.string()));
  return row;
}

Status ReadEverything(const SlideRow& row) {
  WSI_ASSIGN_OR_RETURN(Slide slide, Slide::Open(row.path));
  const SlideLevel level = slide.info().levels[0];
  const SlideRegion region = row.region.value_or(SlideRegion{0, 0, level.width, level.height});
  if (region.w > level.width || region.h > level.height || region.x > level.width - region.w ||
      region.y > level.height - region.h) {
    return InvalidInput(
        fmt::format("{}: region x={} y={} w={} h={} is not inside the slide of {} "
                    "x {} pixels",
                    row.path, region.x, region.y, region.w, region.h, level.width, level.height));
  }
  std::vector<uint8_t> rgb;
  for (int64_t y = 0; y < region.h; y += kVerifyBlock) {
    for (int64_t x = 0; x < region.w; x += kVerifyBlock) {
      const int64_t w = std::min(kVerifyBlock, region.w - x);
      const int64_t h = std::min(kVerifyBlock, region.h - y);
      rgb.resize(static_cast<size_t>(w * h * 3));
      WSI_RETURN_IF_ERROR(slide.ReadRegion(0, region.x + x, region.y + y, w, h, rgb));
    }
  }
  return {};
}

}  // namespace

Result<Scan> ScanFolder(const std::string& folder, const ScanOptions& options) {
  WSI_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, ListSlides(folder));
  Scan scan;
  std::map<std::string, int> uses;
  for (const fs::path& path : paths) {
    Result<SlideRow> row = Describe(path);
    if (!row.ok()) {
      scan.skipped.push_back(row.status().message());
      continue;
    }
    if (options.labels_from_folders) row->label = path.parent_path().filename().string();
    ++uses[path.stem().string()];
    scan.rows.push_back(std::move(row).value());
  }
  if (scan.rows.empty()) {
    return InvalidInput(
        fmt::format("{}: no slide in it ({} files looked like one)", folder, scan.skipped.size()));
  }
  for (SlideRow& row : scan.rows) {
    const fs::path path(row.path);
    const std::string stem = path.stem().string();
    row.slide_id = uses[stem] == 1 ? stem : path.lexically_relative(folder).string();
  }
  return scan;
}

std::vector<Finding> VerifySlides(const Manifest& manifest,
                                  const std::function<void(const SlideRow&)>& progress) {
  std::vector<Finding> findings;
  std::map<std::string, Result<std::string>> hashes;  // Many rows may be regions of one file.
  for (const SlideRow& row : manifest.rows) {
    if (progress) progress(row);
    const auto add = [&](FindingKind kind, std::string message) {
      findings.push_back({kind, row.slide_id, std::move(message)});
    };
    if (!row.hash.empty()) {
      const auto found = hashes.find(row.path);
      const Result<std::string>& hash =
          found != hashes.end() ? found->second
                                : hashes.emplace(row.path, HashFile(row.path)).first->second;
      if (!hash.ok()) {
        add(FindingKind::kUnreadable, hash.status().message());
        continue;
      }
      if (*hash != row.hash) {
        add(FindingKind::kHashDiffers,
            fmt::format("{}: hash is {}; the manifest says {}", row.path, *hash, row.hash));
      }
    }
    const Status status = ReadEverything(row);
    if (!status.ok()) add(FindingKind::kUnreadable, status.message());
  }
  return findings;
}

}  // namespace wsi
