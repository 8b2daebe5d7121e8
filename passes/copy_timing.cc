#include "passes/copy_timing.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace wsi {
namespace {

// The share of the step that waiting must take before another placement is tried.
constexpr double kNoticed = 1e-3;

class CopyPlacer {
 public:
  CopyPlacer(std::span<const double> op_seconds, Bytes budget, std::vector<Bytes>& live,
             std::vector<TimedCopy>& copies)
      : budget_(budget), live_(live), copies_(copies), starts_(op_seconds.size() + 1, 0.0) {
    std::partial_sum(op_seconds.begin(), op_seconds.end(), starts_.begin() + 1);
  }

  void PlaceOut();
  void PlaceIn();
  void PlaceInEarly();

 private:
  std::vector<size_t> InByNeed() const;
  bool Fits(int position, Bytes bytes) const {
    return budget_ == 0 || live_[static_cast<size_t>(position)] + bytes <= budget_;
  }
  double start(int position) const { return starts_[static_cast<size_t>(position)]; }
  int positions() const { return static_cast<int>(starts_.size()) - 1; }

  Bytes budget_;
  std::vector<Bytes>& live_;
  std::vector<TimedCopy>& copies_;
  std::vector<double> starts_;  // Of each operator where nothing stalls, and of the end.
};

// First come, first served; the memory is kept until the copy should have ended, or as long
// as there is room.
void CopyPlacer::PlaceOut() {
  double lane_free = 0;
  for (TimedCopy& copy : copies_) {
    if (copy.is_in) continue;
    copy.issue = copy.position + 1;
    const double begin = std::max(lane_free, start(copy.issue));
    lane_free = begin + copy.seconds;
    copy.hold = std::min(copy.last + 1, positions());
    while (copy.hold < positions() && start(copy.hold) < lane_free && Fits(copy.hold, copy.bytes)) {
      live_[static_cast<size_t>(copy.hold)] += copy.bytes;
      ++copy.hold;
    }
  }
}

std::vector<size_t> CopyPlacer::InByNeed() const {
  std::vector<size_t> in;
  for (size_t i = 0; i < copies_.size(); ++i) {
    if (copies_[i].is_in) in.push_back(i);
  }
  std::stable_sort(in.begin(), in.end(),
                   [&](size_t a, size_t b) { return copies_[a].position < copies_[b].position; });
  return in;
}

// From the first need to the last: each as early as there is room, behind the one before.
void CopyPlacer::PlaceInEarly() {
  int latest = 0;
  for (const size_t i : InByNeed()) {
    TimedCopy& copy = copies_[i];
    int earliest = latest;
    if (copy.source >= 0) {
      earliest = std::max(earliest, copies_[static_cast<size_t>(copy.source)].issue);
    }
    copy.issue = copy.position;
    while (copy.issue > earliest && Fits(copy.issue - 1, copy.bytes)) {
      --copy.issue;
      live_[static_cast<size_t>(copy.issue)] += copy.bytes;
    }
    latest = std::min(copy.issue, copy.position);
  }
}

// From the last need to the first: each copy ends where it is needed, or where the next one
// on the lane has to start.
void CopyPlacer::PlaceIn() {
  const std::vector<size_t> in = InByNeed();
  double next_start = starts_.back();
  for (auto at = in.rbegin(); at != in.rend(); ++at) {
    TimedCopy& copy = copies_[*at];
    next_start = std::min(start(copy.position), next_start) - copy.seconds;
    int earliest = 0;
    if (copy.source >= 0) earliest = copies_[static_cast<size_t>(copy.source)].issue;
    copy.issue = copy.position;
    while (copy.issue > earliest && start(copy.issue) > next_start &&
           Fits(copy.issue - 1, copy.bytes)) {
      --copy.issue;
      live_[static_cast<size_t>(copy.issue)] += copy.bytes;
    }
  }
  // In order of need: a copy that had room earlier must not go before one needed sooner.
  int latest = 0;
  for (const size_t i : in) {
    TimedCopy& copy = copies_[i];
    const int issue = std::min(std::max(copy.issue, latest), copy.position);
    for (int p = copy.issue; p < issue; ++p) live_[static_cast<size_t>(p)] -= copy.bytes;
    copy.issue = issue;
    latest = issue;
  }
}

}  // namespace

CopyTimingResult PlaceCopies(std::span<const double> op_seconds, Bytes budget, CopyMode mode,
                             std::vector<Bytes>& live, std::vector<TimedCopy>& copies) {
  if (mode == CopyMode::kDemand) {
    for (TimedCopy& copy : copies) {
      copy.issue = copy.is_in ? copy.position : copy.last + 1;
      copy.hold = copy.last + 1;
    }
    return ReplayCopies(op_seconds, copies);
  }
  CopyPlacer placer(op_seconds, budget, live, copies);
  placer.PlaceOut();
  std::vector<Bytes> eager_live = live;
  std::vector<TimedCopy> eager = copies;
  placer.PlaceIn();
  const CopyTimingResult lazy_result = ReplayCopies(op_seconds, copies);
  if (lazy_result.stalled <= lazy_result.seconds * kNoticed) return lazy_result;
  CopyPlacer(op_seconds, budget, eager_live, eager).PlaceInEarly();
  const CopyTimingResult eager_result = ReplayCopies(op_seconds, eager);
  if (eager_result.seconds >= lazy_result.seconds) return lazy_result;
  live = std::move(eager_live);
  copies = std::move(eager);
  return eager_result;
}

CopyTimingResult ReplayCopies(std::span<const double> op_seconds, std::vector<TimedCopy>& copies) {
  const auto positions = static_cast<int>(op_seconds.size());
  std::vector<size_t> order(copies.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TimedCopy& x = copies[a];
    const TimedCopy& y = copies[b];
    return std::pair(x.issue, x.is_in ? x.position : 0) <
           std::pair(y.issue, y.is_in ? y.position : 0);
  });
  std::vector<std::vector<size_t>> waits(static_cast<size_t>(positions) + 1);
  for (size_t i = 0; i < copies.size(); ++i) {
    const int at = copies[i].is_in ? copies[i].position : copies[i].hold;
    waits[static_cast<size_t>(std::min(at, positions))].push_back(i);
  }
  CopyTimingResult result;
  double now = 0;
  double lane_free[2] = {0, 0};
  size_t next = 0;
  for (int p = 0; p <= positions; ++p) {
    for (; next < order.size() && copies[order[next]].issue <= p; ++next) {
      TimedCopy& copy = copies[order[next]];
      copy.start = std::max(lane_free[copy.is_in ? 1 : 0], now);
      if (copy.source >= 0) {
        copy.start = std::max(copy.start, copies[static_cast<size_t>(copy.source)].end);
      }
      copy.end = copy.start + copy.seconds;
      lane_free[copy.is_in ? 1 : 0] = copy.end;
    }
    double ready = now;
    for (const size_t i : waits[static_cast<size_t>(p)]) ready = std::max(ready, copies[i].end);
    result.stalled += ready - now;
    now = ready;
    if (p < positions) now += op_seconds[static_cast<size_t>(p)];
  }
  result.seconds = std::max({now, lane_free[0], lane_free[1]});
  return result;
}

}  // namespace wsi
