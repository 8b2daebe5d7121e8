#include "passes/place_buffers.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

namespace wsi {
namespace {

constexpr int kMaxTries = 400;

enum class Fit : uint8_t { kBest, kFirst };

bool TakesRoom(const SizedRange& item) { return item.size > 0 && item.live.begin < item.live.end; }

struct Placed {
  Bytes begin;
  Bytes end;
  LiveRange live;
};

// Where an item goes among `placed`, sorted by offset.
Bytes FindOffset(const std::vector<Placed>& placed, Bytes size, LiveRange live, Fit fit) {
  Bytes top = 0;  // End of what overlaps in time and lies below.
  Bytes best = -1;
  Bytes best_gap = std::numeric_limits<Bytes>::max();
  for (const Placed& p : placed) {
    if (p.live.begin >= live.end || live.begin >= p.live.end) continue;
    const Bytes gap = p.begin - top;
    if (gap >= size && gap < best_gap) {
      best = top;
      best_gap = gap;
      if (fit == Fit::kFirst) break;
    }
    top = std::max(top, p.end);
  }
  return best >= 0 ? best : top;
}

Placement PlaceInOrder(std::span<const SizedRange> items, std::span<const size_t> order, Fit fit,
                       Bytes alignment) {
  Placement result;
  result.offsets.assign(items.size(), 0);
  std::vector<Placed> placed;
  placed.reserve(order.size());
  for (const size_t i : order) {
    const Bytes size = AlignUp(items[i].size, alignment);
    const Bytes offset = FindOffset(placed, size, items[i].live, fit);
    const Placed entry{offset, offset + size, items[i].live};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        entry);
    result.offsets[i] = offset;
    result.height = std::max(result.height, offset + size);
  }
  return result;
}

// The height to stop at: what the caller asks for, but not far above the lower bound, since
// what is saved here is worth more than the search.
Bytes GoodEnough(Bytes lower_bound, const PlacementOptions& options) {
  const Bytes near = lower_bound + lower_bound / 20;
  return std::max(lower_bound, std::min(options.good_enough, near));
}

// The placement problem with the best answer so far.
class Search {
 public:
  Search(std::span<const SizedRange> items, const PlacementOptions& options)
      : items_(items),
        alignment_(options.alignment),
        bound_(GoodEnough(PlacementLowerBound(items, options.alignment), options)),
        work_left_(options.max_work) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (TakesRoom(items[i])) by_size_.push_back(i);
    }
    SortBy(by_size_, [&](size_t i) { return static_cast<double>(items_[i].size); });
  }

  Placement Run();

 private:
  template <typename Key>
  void SortBy(std::vector<size_t>& order, Key key) const {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return key(a) > key(b); });
  }
  bool IsDone() const { return best_.height <= bound_ || work_left_ <= 0; }
  // Tries an order and keeps it where it is no worse.
  void Try(const std::vector<size_t>& order, Fit fit);
  void TryOtherOrders();
  void TryChanges();
  uint64_t Random() {  // xorshift64* (Vigna 2016).
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return random_ * 0x2545F4914F6CDD1DULL;
  }

  std::span<const SizedRange> items_;
  Bytes alignment_;
  Bytes bound_;
  int64_t work_left_;
  std::vector<size_t> by_size_;
  Placement best_;
  std::vector<size_t> best_order_;
  Fit best_fit_ = Fit::kBest;
  uint64_t random_ = 0x9E3779B97F4A7C15ULL;
};

void Search::Try(const std::vector<size_t>& order, Fit fit) {
  if (IsDone()) return;
  const auto n = static_cast<int64_t>(order.size());
  work_left_ -= n * n / 2 + n;
  Placement placement = PlaceInOrder(items_, order, fit, alignment_);
  if (placement.height > best_.height) return;
  best_ = std::move(placement);
  best_order_ = order;
  best_fit_ = fit;
}

void Search::TryOtherOrders() {
  const auto duration = [&](size_t i) {
    return static_cast<double>(items_[i].live.end - items_[i].live.begin);
  };
  const auto size = [&](size_t i) { return static_cast<double>(items_[i].size); };
  const auto begin = [&](size_t i) { return -static_cast<double>(items_[i].live.begin); };
  const auto end = [&](size_t i) { return static_cast<double>(items_[i].live.end); };
  std::vector<size_t> by_area = by_size_;
  SortBy(by_area, [&](size_t i) { return size(i) * duration(i); });
  std::vector<size_t> by_duration = by_size_;
  SortBy(by_duration, duration);
  std::vector<size_t> by_begin = by_size_;
  SortBy(by_begin, begin);
  std::vector<size_t> by_end = by_size_;
  SortBy(by_end, end);
  for (const Fit fit : {Fit::kFirst, Fit::kBest}) {
    for (const auto* order : {&by_size_, &by_area, &by_duration, &by_begin, &by_end}) {
      Try(*order, fit);
    }
  }
}

// Moves an item, every other time one that reaches the top, to a random earlier place in
// the order.
void Search::TryChanges() {
  for (int t = 0; t < kMaxTries && !IsDone(); ++t) {
    std::vector<size_t> order = best_order_;
    std::vector<size_t> reaching;  // Positions in the order.
    for (size_t at = 1; at < order.size(); ++at) {
      const Bytes size = AlignUp(items_[order[at]].size, alignment_);
      if (best_.offsets[order[at]] + size == best_.height) reaching.push_back(at);
    }
    if (reaching.empty()) return;
    const size_t from =
        t % 2 == 0 ? reaching[Random() % reaching.size()] : 1 + Random() % (order.size() - 1);
    const size_t to = Random() % from;
    std::rotate(order.begin() + static_cast<ptrdiff_t>(to),
                order.begin() + static_cast<ptrdiff_t>(from),
                order.begin() + static_cast<ptrdiff_t>(from) + 1);
    Try(order, best_fit_);
  }
}

Placement Search::Run() {
  best_ = PlaceInOrder(items_, by_size_, Fit::kBest, alignment_);
  best_order_ = by_size_;
  TryOtherOrders();
  TryChanges();
  return std::move(best_);
}

}  // namespace

Bytes PlacementLowerBound(std::span<const SizedRange> items, Bytes alignment) {
  std::vector<std::pair<int64_t, Bytes>> changes;  // At a step; frees first.
  for (const SizedRange& item : items) {
    if (!TakesRoom(item)) continue;
    const Bytes size = AlignUp(item.size, alignment);
    changes.emplace_back(item.live.begin, size);
    changes.emplace_back(item.live.end, -size);
  }
  std::sort(changes.begin(), changes.end());
  Bytes live = 0;
  Bytes peak = 0;
  for (const auto& [step, change] : changes) {
    live += change;
    peak = std::max(peak, live);
  }
  return peak;
}

Placement PlaceBuffers(std::span<const SizedRange> items, const PlacementOptions& options) {
  return Search(items, options).Run();
}

}  // namespace wsi
