#include "runtime/slides/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/base/checked.h"

namespace wsi {
namespace {

constexpr int64_t kBandSourceColumns = 2048;
constexpr int64_t kMaxStripRows = 1024;
constexpr int kChannels = 3;

// Image columns [begin, end) of the view, streamed by one thread.
struct ColumnBand {
  int64_t begin = 0;
  int64_t end = 0;
};

std::vector<ColumnBand> CutIntoBands(const ViewAxis& axis, int64_t tile_width) {
  // Where a pixel of the sample is a pixel of the level, bands end on storage tiles and no tile
  // is decoded twice; elsewhere at most one per band and tile row is.
  const int64_t source = std::max<int64_t>(1, kBandSourceColumns / tile_width) * tile_width;
  std::vector<ColumnBand> bands;
  int64_t begin = 0;
  while (begin < axis.count) {
    const double position = axis.start + static_cast<double>(begin) * axis.step;
    const double next =
        (std::floor(position / static_cast<double>(source)) + 1) * static_cast<double>(source);
    const auto reach = static_cast<int64_t>(std::floor((next - axis.start) / axis.step));
    const int64_t end = std::clamp(reach, begin + 1, axis.count);
    bands.push_back({begin, end});
    begin = end;
  }
  return bands;
}

// Sums each span of one source row: sums[3*i + c] for column span i, already divided by the
// span's weights. `row` starts at source pixel `origin`.
void AverageRow(const uint8_t* row, int64_t origin, std::span<const BoxSpan> spans, float* sums) {
  for (const BoxSpan& span : spans) {
    const uint8_t* p = row + (span.first - origin) * kChannels;
    float r = span.first_weight * static_cast<float>(p[0]);
    float g = span.first_weight * static_cast<float>(p[1]);
    float b = span.first_weight * static_cast<float>(p[2]);
    uint32_t ir = 0;
    uint32_t ig = 0;
    uint32_t ib = 0;
    for (int64_t i = 1; i + 1 < span.count; ++i) {
      p += kChannels;
      ir += p[0];
      ig += p[1];
      ib += p[2];
    }
    r += static_cast<float>(ir);
    g += static_cast<float>(ig);
    b += static_cast<float>(ib);
    if (span.count > 1) {
      p += kChannels;
      r += span.last_weight * static_cast<float>(p[0]);
      g += span.last_weight * static_cast<float>(p[1]);
      b += span.last_weight * static_cast<float>(p[2]);
    }
    *sums++ = r * span.inverse_sum;
    *sums++ = g * span.inverse_sum;
    *sums++ = b * span.inverse_sum;
  }
}

float WeightOfRow(const BoxSpan& span, int64_t row) {
  if (row == span.first) return span.first_weight;
  return row == span.first + span.count - 1 ? span.last_weight : 1.0F;
}

// Streams one band: reads strips of source rows, and for every output row that a source row
// belongs to adds the row's horizontal averages.
class BandReader {
 public:
  BandReader(Slide& slide, const ViewPlan& plan, ColumnBand band, std::span<uint8_t> rgb)
      : slide_(slide), plan_(plan), band_(band), rgb_(rgb) {
    for (int64_t i = band.begin; i < band.end; ++i) columns_.push_back(BoxOf(plan.x, i));
    left_ = columns_.front().first;
    for (const BoxSpan& span : columns_) right_ = std::max(right_, span.first + span.count);
    copies_ = plan.x.step == 1 && plan.y.step == 1 && std::floor(plan.x.start) == plan.x.start &&
              std::floor(plan.y.start) == plan.y.start;
    averages_.resize(columns_.size() * kChannels);
    sums_.resize(columns_.size() * kChannels);
  }

  Status Run(const std::atomic<bool>* cancelled) {
    const SlideLevel& level = slide_.info().levels[static_cast<size_t>(plan_.level)];
    const int64_t tile_rows = std::clamp<int64_t>(level.tile_height, 64, kMaxStripRows);
    const BoxSpan bottom = BoxOf(plan_.y, plan_.y.count - 1);
    const int64_t end = bottom.first + bottom.count;
    int64_t top = BoxOf(plan_.y, 0).first;
    while (top < end) {
      if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
        return Status(ErrorCode::kPreempted, "reading was cancelled");
      }
      const int64_t next = std::min(end, (top / tile_rows + 1) * tile_rows);
      strip_.resize(static_cast<size_t>((next - top) * (right_ - left_) * kChannels));
      WSI_RETURN_IF_ERROR(
          slide_.ReadRegion(plan_.level, left_, top, right_ - left_, next - top, strip_));
      for (int64_t row = top; row < next; ++row) {
        AddSourceRow(row, strip_.data() + (row - top) * (right_ - left_) * kChannels);
      }
      top = next;
    }
    return {};
  }

 private:
  void AddSourceRow(int64_t row, const uint8_t* pixels) {
    if (copies_) {
      std::memcpy(OutputRow(out_row_++), pixels, columns_.size() * kChannels);
      return;
    }
    AverageRow(pixels, left_, columns_, averages_.data());
    // A source row belongs to several output rows where it straddles their border, or where the
    // view is enlarged.
    while (out_row_ < plan_.y.count) {
      const BoxSpan span = BoxOf(plan_.y, out_row_);
      if (row < span.first) return;
      const float weight = WeightOfRow(span, row) * span.inverse_sum;
      for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += weight * averages_[i];
      if (row < span.first + span.count - 1) return;
      uint8_t* out = OutputRow(out_row_++);
      for (size_t i = 0; i < sums_.size(); ++i) {
        out[i] = static_cast<uint8_t>(std::min(sums_[i] + 0.5F, 255.0F));
        sums_[i] = 0;
      }
    }
  }

  uint8_t* OutputRow(int64_t image_row) {
    const int64_t row = plan_.y.begin + image_row;
    const int64_t column = plan_.x.begin + band_.begin;
    return rgb_.data() + (row * plan_.x.size + column) * kChannels;
  }

  Slide& slide_;
  const ViewPlan& plan_;
  const ColumnBand band_;
  const std::span<uint8_t> rgb_;
  std::vector<BoxSpan> columns_;
  int64_t left_ = 0;  // Source columns [left_, right_).
  int64_t right_ = 0;
  bool copies_ = false;  // Every sample pixel is one level pixel.
  std::vector<uint8_t> strip_;
  std::vector<float> averages_;
  std::vector<float> sums_;
  int64_t out_row_ = 0;  // The image row that is being summed.
};

void FillWhite(const ViewPlan& plan, std::span<uint8_t> rgb) {
  const int64_t row_bytes = plan.x.size * kChannels;
  for (int64_t row = 0; row < plan.y.size; ++row) {
    uint8_t* begin = rgb.data() + row * row_bytes;
    const bool outside = row < plan.y.begin || row >= plan.y.begin + plan.y.count;
    const int64_t left = outside ? row_bytes : plan.x.begin * kChannels;
    const int64_t right = outside ? row_bytes : (plan.x.begin + plan.x.count) * kChannels;
    std::fill(begin, begin + left, uint8_t{255});
    std::fill(begin + right, begin + row_bytes, uint8_t{255});
  }
}

// Hands out bands to threads; the first error in band order wins, so that the message does not
// depend on timing either.
class BandQueue {
 public:
  BandQueue(const ViewPlan& plan, std::vector<ColumnBand> bands, std::span<uint8_t> rgb,
            const std::atomic<bool>* cancelled)
      : plan_(plan), bands_(std::move(bands)), rgb_(rgb), cancelled_(cancelled) {
    statuses_.resize(bands_.size());
  }

  size_t size() const { return bands_.size(); }

  void Work(Slide& slide) {
    while (!failed_.load()) {
      const size_t index = next_.fetch_add(1);
      if (index >= bands_.size()) return;
      Set(index, BandReader(slide, plan_, bands_[index], rgb_).Run(cancelled_));
    }
  }

  // For a thread of its own, with a handle of its own.
  void WorkOn(const std::string& path) {
    Result<Slide> slide = Slide::Open(path);
    if (slide.ok()) return Work(*slide);
    if (const size_t index = next_.fetch_add(1); index < bands_.size()) {
      Set(index, slide.status());
    }
  }

  Status status() const {
    for (const Status& status : statuses_) WSI_RETURN_IF_ERROR(status);
    return {};
  }

 private:
  void Set(size_t index, Status status) {
    if (!status.ok()) failed_.store(true);
    statuses_[index] = std::move(status);
  }

  const ViewPlan& plan_;
  const std::vector<ColumnBand> bands_;
  const std::span<uint8_t> rgb_;
  const std::atomic<bool>* const cancelled_;
  std::vector<Status> statuses_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
};

}  // namespace

BoxSpan BoxOf(const ViewAxis& axis, int64_t index) {
  const double begin = axis.start + static_cast<double>(index) * axis.step;
  const double end = std::min(begin + axis.step, axis.end);
  BoxSpan span;
  span.first = static_cast<int64_t>(std::floor(begin));
  // A box that rounding leaves empty, or that ends a hair behind a pixel, keeps to pixels that
  // exist: the last one is ceil(end) - 1, never beyond the axis.
  const auto last_of_axis = static_cast<int64_t>(std::ceil(axis.end)) - 1;
  span.first = std::min(span.first, last_of_axis);
  const auto last =
      std::clamp(static_cast<int64_t>(std::ceil(end - 1e-9)) - 1, span.first, last_of_axis);
  span.count = last - span.first + 1;
  const double covered_first =
      std::min(end, static_cast<double>(span.first + 1)) - std::max(begin, 0.0);
  if (span.count == 1) return span;
  const double covered_last = end - static_cast<double>(last);
  span.first_weight = static_cast<float>(covered_first);
  span.last_weight = static_cast<float>(covered_last);
  span.inverse_sum = static_cast<float>(
      1.0 / (covered_first + covered_last + static_cast<double>(span.count - 2)));
  return span;
}

Result<int64_t> ViewBytes(const ViewSpec& spec) {
  WSI_ASSIGN_OR_RETURN(const int64_t pixels, CheckedMul(spec.height, spec.width));
  return CheckedMul(pixels, kChannels);
}

Status ReadView(Slide& slide, const ViewSpec& spec, std::span<uint8_t> rgb,
                const ReadViewOptions& options) {
  WSI_ASSIGN_OR_RETURN(const int64_t bytes, ViewBytes(spec));
  WSI_CHECK(rgb.size() == static_cast<size_t>(bytes) && options.threads >= 1);
  WSI_ASSIGN_OR_RETURN(const ViewPlan plan, PlanView(slide, spec));
  FillWhite(plan, rgb);
  const int64_t tile_width = slide.info().levels[static_cast<size_t>(plan.level)].tile_width;
  BandQueue queue(plan, CutIntoBands(plan.x, std::min(tile_width, kBandSourceColumns)), rgb,
                  options.cancelled);
  const size_t threads = std::min(static_cast<size_t>(options.threads), queue.size());
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i) {
    others.emplace_back([&queue, &slide] { queue.WorkOn(slide.path()); });
  }
  queue.Work(slide);
  others.clear();  // Joins.
  return queue.status();
}

}  // namespace wsi
