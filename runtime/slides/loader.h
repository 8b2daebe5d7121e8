// Decodes slides ahead of training, in threads of its own, and hands them over in order.
//
//   Enqueue(epoch 1) Enqueue(epoch 2)          requests, any number ahead
//        |
//   [ 7 ][ 8 ][ 5 ][ 6 ]                       ring of `capacity` samples: request i in slot
//     ^ being decoded     ^ given by Next()    i % capacity, whichever thread is first
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/slides/augment.h"
#include "runtime/slides/manifest.h"
#include "runtime/slides/sample_cache.h"
#include "runtime/slides/view.h"

namespace wsi {

enum class BadSlidePolicy : uint8_t {
  kFail,  // Next() returns the error.
  kSkip,  // Next() tells `log` and goes on to the request behind it.
};

struct LoaderOptions {
  // Size and scale of every sample. Region and slide_mpp come from each manifest row.
  ViewSpec view = {};
  int threads = 1;
  // Samples in memory, the one last given by Next() among them. From 2 on, decoding and training
  // overlap.
  int64_t capacity = 2;
  // Where they lie: capacity * height * width * 3 bytes that outlive the loader. Empty: in
  // memory of its own.
  std::span<uint8_t> memory = {};
  BadSlidePolicy on_bad_slide = BadSlidePolicy::kFail;
  std::function<void(const std::string&)> log = {};  // Called by Next() only.
  Bytes cache_bytes = 0;                             // For decoded samples, beside the ring.
  AugmentOptions augment = {};
  int64_t seed = 0;  // For `augment`.
  // Samples that an earlier loader delivered of the same requests: with some, it is no error if
  // the rest are bad.
  int64_t delivered_before = 0;
};

struct SampleRequest {
  int64_t row = 0;    // in the manifest
  int64_t epoch = 0;  // for the augmentation
};

// Valid until the next call of Next, Cancel or the destructor.
struct Sample {
  SampleRequest request;
  std::span<const uint8_t> rgb;  // height x width x 3
  int64_t class_index = -1;      // -1 without a label
};

struct LoaderStats {
  int64_t delivered = 0;
  int64_t skipped = 0;  // requests dropped under kSkip
  int64_t cache_hits = 0;
  double wait_seconds = 0;    // that Next() waited for a sample
  double decode_seconds = 0;  // summed over threads
};

// One consumer: Enqueue, Next, Cancel and stats are called from one thread at a time.
class SlideLoader {
 public:
  // Allocates the ring (capacity * height * width * 3 bytes) and starts the threads. `manifest`
  // outlives the loader. kUsage for options out of range, kResources if the ring does not fit.
  static Result<std::unique_ptr<SlideLoader>> Make(const Manifest& manifest, LoaderOptions options);
  // Of the ring; kUsage and kResources as Make.
  static Result<Bytes> MemoryBytes(const LoaderOptions& options);
  // Cancels.
  ~SlideLoader();
  SlideLoader(const SlideLoader&) = delete;
  SlideLoader& operator=(const SlideLoader&) = delete;

  // Appends requests; decoding goes on across the border, so that asking for the next epoch
  // before the end of this one leaves no gap. kUsage for a row that the manifest does not have.
  Status Enqueue(std::span<const SampleRequest> requests);

  // The sample of the next request in order, whatever the timing of threads; nullopt behind the
  // last one. A slide that cannot be had is an error of its request or skipped, as the options
  // say; memory that cannot be had is always an error. After an error the next call goes on
  // with the next request. Under kSkip, kInvalidInput at the end if every request was bad.
  Result<std::optional<Sample>> Next();

  // Gives up what is being decoded, ends the threads, frees nothing that Next() has given.
  // Afterwards Next() returns kPreempted.
  void Cancel();

  LoaderStats stats() const;

 private:
  enum class SlotState : uint8_t { kEmpty, kReady };
  struct Slot {
    uint8_t* pixels = nullptr;
    SlotState state = SlotState::kEmpty;
    Status status;
  };

  SlideLoader(const Manifest& manifest, LoaderOptions options, Bytes sample_bytes);
  void Work();
  Status Decode(const SampleRequest& request, std::span<uint8_t> rgb);
  Status DecodeSlide(const SlideRow& row, std::span<uint8_t> rgb) const;
  std::span<uint8_t> PixelsOf(int64_t ticket);
  Slot& SlotOf(int64_t ticket) { return slots_[static_cast<size_t>(ticket % options_.capacity)]; }
  bool EverythingWasBad() const;

  const Manifest& manifest_;
  const LoaderOptions options_;
  const Bytes sample_bytes_;
  SampleCache cache_;
  std::atomic<bool> cancelled_ = false;

  mutable std::mutex mutex_;  // Guards everything below but the pixels of a slot in work.
  std::condition_variable work_to_do_;
  std::condition_variable sample_ready_;
  std::vector<std::unique_ptr<uint8_t[]>> own_memory_;  // A slot's each; none where it was given.
  std::vector<Slot> slots_;
  // A request's ticket is its place among all that were ever enqueued.
  // Invariant: released_ <= taken_ <= released_ + capacity and taken_ <= requests.
  std::vector<SampleRequest> requests_;
  int64_t taken_ = 0;     // tickets given to threads
  int64_t released_ = 0;  // tickets whose slot is free again
  bool holding_ = false;  // The consumer still has ticket released_.
  LoaderStats stats_;
  std::vector<std::jthread> threads_;
};

}  // namespace wsi
