// Reads a view of a slide as RGB8 by area averaging, in memory bounded by the sample.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/slides/slide.h"
#include "runtime/slides/view.h"

namespace wsi {

// The source pixels whose mean is one output pixel: [first, first + count), where the first and
// the last weigh `first_weight` and `last_weight`, all between them 1, and the mean divides by
// the sum of weights. With count == 1 only `first_weight` counts.
struct BoxSpan {
  int64_t first = 0;
  int64_t count = 1;
  float first_weight = 1;
  float last_weight = 1;
  float inverse_sum = 1;
};

// The span of image pixel `index` (0 <= index < axis.count) of a view's axis.
BoxSpan BoxOf(const ViewAxis& axis, int64_t index);

struct ReadViewOptions {
  int threads = 1;
  // Set by another thread to give up early; may be null. Outlives the call.
  const std::atomic<bool>* cancelled = nullptr;
};

// Fills `rgb` (spec.height x spec.width x 3, row-major). The view is cut into columns about 2048
// source pixels wide; each is streamed from top to bottom one row of storage tiles at a time, so
// that beyond `rgb` a thread holds a few MiB (and OpenSlide its cache of 32 MiB), whatever the
// slide's size. The bytes do not depend on the number of threads.
// kPreempted if cancelled. Other errors as from PlanView and Slide::ReadRegion.
// REQUIRES: rgb.size() == height * width * 3, threads >= 1.
Status ReadView(Slide& slide, const ViewSpec& spec, std::span<uint8_t> rgb,
                const ReadViewOptions& options = {});

// height * width * 3, checked.
Result<int64_t> ViewBytes(const ViewSpec& spec);

}  // namespace wsi
