#include "runtime/slides/loader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "runtime/slides/resample.h"
#include "runtime/slides/slide.h"

namespace wsi {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxCapacity = int64_t{1} << 16;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Bytes PhysicalBytes() {
  return static_cast<Bytes>(sysconf(_SC_PHYS_PAGES)) * static_cast<Bytes>(sysconf(_SC_PAGE_SIZE));
}

Status CheckLoaderOptions(const LoaderOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads || options.capacity < 1 ||
      options.capacity > kMaxCapacity || options.cache_bytes < 0) {
    return UsageError(fmt::format(
        "loader with {} threads (1 to {}), {} samples ahead (1 to {}), "
        "cache of {} bytes (0 on)",
        options.threads, kMaxThreads, options.capacity, kMaxCapacity, options.cache_bytes));
  }
  return CheckAugmentOptions(options.augment);
}

// Whether the slide is to blame, and not this machine's memory or a request to stop.
Status NoMemory(int64_t samples, Bytes sample_bytes) {
  return ResourceError(
      fmt::format("no memory for {} decoded samples of {} ({} in all); ask for fewer ahead",
                  samples, FormatBytes(sample_bytes), FormatBytes(samples * sample_bytes)));
}

bool IsBadSlide(const Status& status) {
  return status.code() == ErrorCode::kInvalidInput || status.code() == ErrorCode::kIo;
}

}  // namespace

SlideLoader::SlideLoader(const Manifest& manifest, LoaderOptions options, Bytes sample_bytes)
    : manifest_(manifest),
      options_(std::move(options)),
      sample_bytes_(sample_bytes),
      cache_(options_.cache_bytes, sample_bytes) {}

Result<Bytes> SlideLoader::MemoryBytes(const LoaderOptions& options) {
  WSI_RETURN_IF_ERROR(CheckLoaderOptions(options));
  if (options.view.height < 1 || options.view.width < 1) {
    return UsageError(
        fmt::format("samples of {} x {} pixels", options.view.height, options.view.width));
  }
  WSI_ASSIGN_OR_RETURN(const Bytes sample_bytes, ViewBytes(options.view));
  WSI_ASSIGN_OR_RETURN(const Bytes ring_bytes, CheckedMul(sample_bytes, options.capacity));
  // A system that overcommits would grant it now and end the process later.
  if (ring_bytes > PhysicalBytes()) return NoMemory(options.capacity, sample_bytes);
  return ring_bytes;
}

Result<std::unique_ptr<SlideLoader>> SlideLoader::Make(const Manifest& manifest,
                                                       LoaderOptions options) {
  WSI_ASSIGN_OR_RETURN(const Bytes ring_bytes, MemoryBytes(options));
  const Bytes sample_bytes = ring_bytes / options.capacity;
  const std::span<uint8_t> memory = options.memory;
  WSI_CHECK(memory.empty() || memory.size() == static_cast<size_t>(ring_bytes));
  std::unique_ptr<SlideLoader> loader(new SlideLoader(manifest, std::move(options), sample_bytes));
  loader->slots_.resize(static_cast<size_t>(loader->options_.capacity));
  for (size_t i = 0; i < loader->slots_.size(); ++i) {
    Slot& slot = loader->slots_[i];
    if (!memory.empty()) {
      slot.pixels = memory.data() + i * static_cast<size_t>(sample_bytes);
      continue;
    }
    std::unique_ptr<uint8_t[]>& own = loader->own_memory_.emplace_back(
        new (std::nothrow) uint8_t[static_cast<size_t>(sample_bytes)]);
    if (own == nullptr) return NoMemory(loader->options_.capacity, sample_bytes);
    slot.pixels = own.get();
  }
  for (int i = 0; i < loader->options_.threads; ++i) {
    loader->threads_.emplace_back([raw = loader.get()] { raw->Work(); });
  }
  return loader;
}

SlideLoader::~SlideLoader() { Cancel(); }

Status SlideLoader::Enqueue(std::span<const SampleRequest> requests) {
  for (const SampleRequest& request : requests) {
    if (request.row < 0 || request.row >= static_cast<int64_t>(manifest_.rows.size())) {
      return UsageError(
          fmt::format("row {} of a manifest of {}", request.row, manifest_.rows.size()));
    }
  }
  {
    const std::scoped_lock lock(mutex_);
    requests_.insert(requests_.end(), requests.begin(), requests.end());
  }
  work_to_do_.notify_all();
  return {};
}

Result<std::optional<Sample>> SlideLoader::Next() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (holding_) {
      SlotOf(released_).state = SlotState::kEmpty;
      ++released_;
      holding_ = false;
      work_to_do_.notify_all();
    }
    if (cancelled_) return Status(ErrorCode::kPreempted, "loading of slides was cancelled");
    const int64_t ticket = released_;
    if (ticket == static_cast<int64_t>(requests_.size())) {
      if (EverythingWasBad()) return InvalidInput("none of the slides could be read");
      return std::optional<Sample>();
    }
    Slot& slot = SlotOf(ticket);
    const auto start = std::chrono::steady_clock::now();
    sample_ready_.wait(lock, [&] { return slot.state == SlotState::kReady; });
    stats_.wait_seconds += SecondsSince(start);
    holding_ = true;
    const Status status = std::exchange(slot.status, Status());
    const SampleRequest request = requests_[static_cast<size_t>(ticket)];
    const SlideRow& row = manifest_.rows[static_cast<size_t>(request.row)];
    if (status.ok()) {
      ++stats_.delivered;
      return std::optional<Sample>(
          Sample{.request = request, .rgb = PixelsOf(ticket), .class_index = row.class_index});
    }
    const Status named = status.WithContext(fmt::format("slide {}", row.slide_id));
    if (options_.on_bad_slide == BadSlidePolicy::kFail || !IsBadSlide(status)) return named;
    ++stats_.skipped;
    if (options_.log) {
      lock.unlock();
      options_.log(fmt::format("skipped: {}", named.message()));
      lock.lock();
    }
  }
}

bool SlideLoader::EverythingWasBad() const {
  return options_.delivered_before + stats_.delivered == 0 && stats_.skipped > 0;
}

void SlideLoader::Cancel() {
  {
    const std::scoped_lock lock(mutex_);
    cancelled_ = true;
  }
  work_to_do_.notify_all();
  threads_.clear();  // Joins.
}

LoaderStats SlideLoader::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

std::span<uint8_t> SlideLoader::PixelsOf(int64_t ticket) {
  return {SlotOf(ticket).pixels, static_cast<size_t>(sample_bytes_)};
}

void SlideLoader::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_to_do_.wait(lock, [this] {
      return cancelled_ || (taken_ < static_cast<int64_t>(requests_.size()) &&
                            taken_ < released_ + options_.capacity);
    });
    if (cancelled_) return;
    const int64_t ticket = taken_++;
    const SampleRequest request = requests_[static_cast<size_t>(ticket)];
    Slot& slot = SlotOf(ticket);
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    Status status = Decode(request, PixelsOf(ticket));
    lock.lock();
    stats_.decode_seconds += SecondsSince(start);
    slot.status = std::move(status);
    slot.state = SlotState::kReady;
    sample_ready_.notify_all();
  }
}

Status SlideLoader::Decode(const SampleRequest& request, std::span<uint8_t> rgb) {
  if (cache_.Get(request.row, rgb)) {
    const std::scoped_lock lock(mutex_);
    ++stats_.cache_hits;
  } else {
    WSI_RETURN_IF_ERROR(DecodeSlide(manifest_.rows[static_cast<size_t>(request.row)], rgb));
    cache_.Put(request.row, rgb);
  }
  const int64_t height = options_.view.height;
  const int64_t width = options_.view.width;
  ApplyAugmentation(DrawAugmentation(options_.augment, options_.seed, request.epoch, request.row,
                                     height == width),
                    height, width, rgb);
  return {};
}

Status SlideLoader::DecodeSlide(const SlideRow& row, std::span<uint8_t> rgb) const {
  try {
    WSI_ASSIGN_OR_RETURN(Slide slide, Slide::Open(row.path));
    // At most `capacity` slides are in work; threads beyond that help within a slide.
    const auto helpers = static_cast<int>(options_.threads / options_.capacity);
    return ReadView(slide, ViewOfRow(row, options_.view), rgb,
                    {.threads = std::max(1, helpers), .cancelled = &cancelled_});
  } catch (const std::bad_alloc&) {
    return ResourceError(fmt::format("no memory to decode {}", row.path));
  }
}

}  // namespace wsi
