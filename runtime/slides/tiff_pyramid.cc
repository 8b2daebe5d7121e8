#include "runtime/slides/tiff_pyramid.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <tiffio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/slides/slide.h"

namespace wsi {
namespace {

constexpr int64_t kTile = kPyramidTile;
constexpr int64_t kTileBytes = kTile * kTile * 3;
constexpr int64_t kLargestClassicPixels = int64_t{1} << 31;

// What libtiff said, and why the system refused.
struct TiffError {
  std::string message;
  int number = 0;
};

int KeepError(TIFF*, void* user, const char* module, const char* format, va_list arguments) {
  auto* error = static_cast<TiffError*>(user);
  if (!error->message.empty()) return 1;  // The first one is the cause.
  error->number = errno;
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  error->message = fmt::format("{}: {}", module == nullptr ? "libtiff" : module, text);
  return 1;
}
int DropWarning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

// `error` outlives the handle.
Tiff OpenTiff(const std::string& path, const char* mode, TiffError* error) {
  const auto release = [](TIFFOpenOptions* options) { TIFFOpenOptionsFree(options); };
  const std::unique_ptr<TIFFOpenOptions, decltype(release)> options(TIFFOpenOptionsAlloc(),
                                                                    release);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), KeepError, error);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), DropWarning, nullptr);
  return Tiff(TIFFOpenExt(path.c_str(), mode, options.get()));
}

// A file of one's own that is gone again unless it was kept.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!kept_) std::remove(path_.c_str());
  }
  const std::string& path() const { return path_; }

  // Durable under `target`.
  Status Keep(const std::string& target) {
    const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int reason = errno;
    if (fd >= 0) close(fd);
    if (!synced) {
      return IoError(
          fmt::format("{}: {}", path_, std::error_code(reason, std::generic_category()).message()));
    }
    std::error_code error;
    std::filesystem::rename(path_, target, error);
    if (error) return IoError(fmt::format("{}: {}", target, error.message()));
    kept_ = true;
    const std::string folder = std::filesystem::path(target).parent_path().string();
    return SyncFolder(folder.empty() ? "." : folder);
  }

 private:
  std::string path_;
  bool kept_ = false;
};

struct LevelSize {
  int64_t width = 0;
  int64_t height = 0;
};

class PyramidWriter {
 public:
  PyramidWriter(std::string path, const PyramidOptions& options)
      : path_(std::move(path)), options_(options) {}

  Status Open() {
    const bool big = options_.width * options_.height > kLargestClassicPixels;
    tiff_ = OpenTiff(path_, big ? "w8" : "w", &error_);
    return tiff_ ? Status() : Failure();
  }

  Status WriteFirst(const TileSource& source) {
    const LevelSize size{options_.width, options_.height};
    if (!SetTags(size, options_.mpp, true)) return Failure();
    std::vector<uint8_t> rgb(static_cast<size_t>(kTileBytes));
    for (int64_t y = 0; y < size.height; y += kTile) {
      for (int64_t x = 0; x < size.width; x += kTile) {
        source(x, y, rgb);
        if (!WriteTile(x, y, rgb)) return Failure();
      }
    }
    return FinishLevel();
  }

  // Level `index` from level index - 1, which is `previous` in size.
  Status WriteReduced(uint16_t index, LevelSize previous, LevelSize size) {
    TiffError read_error;
    const Tiff reader = OpenTiff(path_, "r", &read_error);
    if (!reader || TIFFSetDirectory(reader.get(), static_cast<tdir_t>(index - 1)) == 0 ||
        TIFFSetField(reader.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB) == 0) {
      return IoError(fmt::format("{}: cannot be read back: {}", path_, read_error.message));
    }
    const double mpp =
        options_.mpp * static_cast<double>(options_.width) / static_cast<double>(size.width);
    if (!SetTags(size, mpp, false)) return Failure();
    std::vector<uint8_t> rgb(static_cast<size_t>(kTileBytes));
    std::vector<uint8_t> source(static_cast<size_t>(kTileBytes));
    for (int64_t y = 0; y < size.height; y += kTile) {
      for (int64_t x = 0; x < size.width; x += kTile) {
        if (!ReduceTile(reader.get(), previous, x, y, source, rgb)) {
          return IoError(fmt::format("{}: cannot be read back: {}", path_, read_error.message));
        }
        if (!WriteTile(x, y, rgb)) return Failure();
      }
    }
    return FinishLevel();
  }

  Status Close() {
    tiff_.reset();
    return error_.message.empty() ? Status() : Failure();
  }

 private:
  bool SetTags(LevelSize size, double mpp, bool first) {
    TIFF* t = tiff_.get();
    bool ok = true;
    ok &= TIFFSetField(t, TIFFTAG_SUBFILETYPE, first ? 0 : FILETYPE_REDUCEDIMAGE) != 0;
    ok &= TIFFSetField(t, TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(size.width)) != 0;
    ok &= TIFFSetField(t, TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(size.height)) != 0;
    ok &= TIFFSetField(t, TIFFTAG_TILEWIDTH, static_cast<uint32_t>(kTile)) != 0;
    ok &= TIFFSetField(t, TIFFTAG_TILELENGTH, static_cast<uint32_t>(kTile)) != 0;
    ok &= TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 8) != 0;
    ok &= TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 3) != 0;
    ok &= TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) != 0;
    ok &= TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_YCBCR) != 0;
    ok &= TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_JPEG) != 0;
    ok &= TIFFSetField(t, TIFFTAG_JPEGQUALITY, options_.jpeg_quality) != 0;
    ok &= TIFFSetField(t, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB) != 0;
    ok &= TIFFSetField(t, TIFFTAG_YCBCRSUBSAMPLING, 2, 2) != 0;
    ok &= TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER) != 0;
    ok &= TIFFSetField(t, TIFFTAG_XRESOLUTION, 10000.0 / mpp) != 0;
    ok &= TIFFSetField(t, TIFFTAG_YRESOLUTION, 10000.0 / mpp) != 0;
    if (first && !options_.description.empty()) {
      ok &= TIFFSetField(t, TIFFTAG_IMAGEDESCRIPTION, options_.description.c_str()) != 0;
    }
    return ok;
  }

  bool WriteTile(int64_t x, int64_t y, std::vector<uint8_t>& rgb) {
    return TIFFWriteTile(tiff_.get(), rgb.data(), static_cast<uint32_t>(x),
                         static_cast<uint32_t>(y), 0, 0) >= 0;
  }

  // The tile at (x, y) of a level is the mean of factor x factor pixels of the tiles below it.
  bool ReduceTile(TIFF* reader, LevelSize previous, int64_t x, int64_t y,
                  std::vector<uint8_t>& source, std::vector<uint8_t>& rgb) const {
    const int64_t factor = options_.level_factor;
    const int64_t part = kTile / factor;
    for (int64_t j = 0; j < factor; ++j) {
      for (int64_t i = 0; i < factor; ++i) {
        // Past the edge the last tile is repeated; nobody sees those pixels.
        const int64_t from_x = std::min(x * factor + i * kTile, previous.width - 1);
        const int64_t from_y = std::min(y * factor + j * kTile, previous.height - 1);
        if (TIFFReadTile(reader, source.data(), static_cast<uint32_t>(from_x),
                         static_cast<uint32_t>(from_y), 0, 0) < 0) {
          return false;
        }
        AverageInto(source, factor, rgb.data() + (j * part * kTile + i * part) * 3);
      }
    }
    return true;
  }

  static void AverageInto(const std::vector<uint8_t>& source, int64_t factor, uint8_t* out) {
    const int64_t part = kTile / factor;
    const auto area = static_cast<uint32_t>(factor * factor);
    for (int64_t y = 0; y < part; ++y) {
      for (int64_t k = 0; k < part * 3; ++k) {
        const int64_t column = k / 3 * factor * 3 + k % 3;
        uint32_t sum = area / 2;
        for (int64_t b = 0; b < factor; ++b) {
          const uint8_t* row = source.data() + (y * factor + b) * kTile * 3 + column;
          for (int64_t a = 0; a < factor; ++a) sum += row[a * 3];
        }
        out[y * kTile * 3 + k] = static_cast<uint8_t>(sum / area);
      }
    }
  }

  Status FinishLevel() {
    if (TIFFWriteDirectory(tiff_.get()) == 0 || TIFFFlush(tiff_.get()) == 0) return Failure();
    return {};
  }

  Status Failure() const {
    const std::string text = fmt::format(
        "{}: {}", path_, error_.message.empty() ? "libtiff gave no reason" : error_.message);
    return error_.number == ENOSPC || error_.number == EDQUOT ? ResourceError(text) : IoError(text);
  }

  const std::string path_;
  const PyramidOptions& options_;
  TiffError error_;  // Outlives tiff_.
  Tiff tiff_;
};

Status CheckOptions(const PyramidOptions& options) {
  if (options.width < 1 || options.height < 1 || options.width > kMaxLevelSide ||
      options.height > kMaxLevelSide) {
    return UsageError(fmt::format("a slide of {} x {} pixels; allowed are 1 to {} a side",
                                  options.width, options.height, kMaxLevelSide));
  }
  if (options.level_factor != 2 && options.level_factor != 4) {
    return UsageError(fmt::format("level factor {}; allowed are 2 and 4", options.level_factor));
  }
  if (options.jpeg_quality < 1 || options.jpeg_quality > 100 ||
      !(std::isfinite(options.mpp) && options.mpp > 0)) {
    return UsageError(fmt::format("JPEG quality {} (1 to 100) or scale {} um (above 0)",
                                  options.jpeg_quality, options.mpp));
  }
  return {};
}

}  // namespace

Status WritePyramid(const std::string& path, const PyramidOptions& options,
                    const TileSource& source) {
  WSI_RETURN_IF_ERROR(CheckOptions(options));
  WSI_RETURN_IF_ERROR(CheckOutputPath(path, options.force));
  TemporaryFile temporary(path + ".part");
  PyramidWriter writer(temporary.path(), options);
  WSI_RETURN_IF_ERROR(writer.Open());
  WSI_RETURN_IF_ERROR(writer.WriteFirst(source));
  LevelSize previous{options.width, options.height};
  for (uint16_t index = 1; std::max(previous.width, previous.height) > 2 * kTile; ++index) {
    const LevelSize size{std::max<int64_t>(1, previous.width / options.level_factor),
                         std::max<int64_t>(1, previous.height / options.level_factor)};
    WSI_RETURN_IF_ERROR(writer.WriteReduced(index, previous, size));
    previous = size;
  }
  WSI_RETURN_IF_ERROR(writer.Close());
  return temporary.Keep(path);
}

}  // namespace wsi
