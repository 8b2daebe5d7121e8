#include "passes/place_buffers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

namespace wsi {
namespace {

// Every pair, and the bound counted step by step: no code of the planner's.
void CheckPlacement(const std::vector<SizedRange>& items, const Placement& placement) {
  ASSERT_EQ(placement.offsets.size(), items.size());
  Bytes height = 0;
  int64_t steps = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_GE(placement.offsets[i], 0);
    EXPECT_EQ(placement.offsets[i] % kBufferAlignment, 0);
    if (items[i].live.begin < items[i].live.end) {
      height = std::max(height, placement.offsets[i] + items[i].size);
    }
    steps = std::max(steps, items[i].live.end);
    for (size_t j = 0; j < i; ++j) {
      const bool in_time =
          items[i].live.begin < items[j].live.end && items[j].live.begin < items[i].live.end;
      const bool in_space = placement.offsets[i] < placement.offsets[j] + items[j].size &&
                            placement.offsets[j] < placement.offsets[i] + items[i].size;
      const bool both_there = items[i].size > 0 && items[j].size > 0 &&
                              items[i].live.begin < items[i].live.end &&
                              items[j].live.begin < items[j].live.end;
      ASSERT_FALSE(both_there && in_time && in_space) << i << " and " << j;
    }
  }
  EXPECT_GE(placement.height, height);
  Bytes bound = 0;
  for (int64_t step = 0; step < steps; ++step) {
    Bytes live = 0;
    for (const SizedRange& item : items) {
      if (item.live.begin <= step && step < item.live.end) {
        live += AlignUp(item.size, kBufferAlignment);
      }
    }
    bound = std::max(bound, live);
  }
  EXPECT_EQ(PlacementLowerBound(items), bound);
  EXPECT_GE(placement.height, bound);
}

std::vector<SizedRange> RandomItems(uint64_t seed, int64_t count) {
  std::mt19937_64 random(seed);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  std::vector<SizedRange> items;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = below(count);
    const Bytes size = below(8) == 0 ? 0 : below(4) == 0 ? below(1 << 20) : 256 * below(16);
    items.push_back({size, {begin, begin + below(below(3) == 0 ? count : 5)}});
  }
  return items;
}

// Forward values live until their backward step, as in training.
std::vector<SizedRange> TrainingItems(uint64_t seed, int64_t layers) {
  std::mt19937_64 random(seed);
  std::vector<SizedRange> items;
  for (int64_t i = 0; i < layers; ++i) {
    const Bytes size = Bytes{1} << (10 + random() % 12);
    const int64_t back = 2 * layers - i;
    items.push_back({size, {i, back}});
    items.push_back({size, {back, back + 2}});
    items.push_back({static_cast<Bytes>(random() % 100'000), {back, back + 1}});
  }
  return items;
}

double Overhead(const std::vector<SizedRange>& items) {
  const Placement placement = PlaceBuffers(items);
  return static_cast<double>(placement.height) / static_cast<double>(PlacementLowerBound(items));
}

TEST(PlaceBuffers, NothingAndEmptyThings) {
  EXPECT_EQ(PlaceBuffers({}).height, 0);
  const std::vector<SizedRange> items = {{0, {0, 5}}, {100, {2, 2}}, {1, {0, 1}}};
  const Placement placement = PlaceBuffers(items);
  EXPECT_EQ(placement.height, kBufferAlignment);
  CheckPlacement(items, placement);
}

TEST(PlaceBuffers, RandomLifetimesNeverOverlap) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const std::vector<SizedRange> items = RandomItems(seed, 2 + static_cast<int64_t>(seed % 40));
    CheckPlacement(items, PlaceBuffers(items, {.max_work = 100'000}));
    if (HasFatalFailure()) return;
  }
}

TEST(PlaceBuffers, ReachesTheBoundOnTrainingLifetimes) {
  for (uint64_t seed = 0; seed < 20; ++seed) EXPECT_LE(Overhead(TrainingItems(seed, 150)), 1.05);
}

TEST(PlaceBuffers, SearchIsNoWorseThanTheFirstOrder) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<SizedRange> items = RandomItems(seed, 100);
    EXPECT_LE(PlaceBuffers(items).height, PlaceBuffers(items, {.max_work = 0}).height);
  }
}

TEST(PlaceBuffers, IsDeterministic) {
  const std::vector<SizedRange> items = RandomItems(5, 200);
  EXPECT_EQ(PlaceBuffers(items).offsets, PlaceBuffers(items).offsets);
}

TEST(PlaceBuffers, ThreeThousandBuffersTakeFarLessThanSeconds) {
  const std::vector<SizedRange> items = RandomItems(9, 3000);
  const auto start = std::chrono::steady_clock::now();
  const Placement placement = PlaceBuffers(items);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_LT(seconds.count(), 5.0);  // Some 0.2 s; room for a loaded machine and sanitizers.
  CheckPlacement(items, placement);
}

}  // namespace
}  // namespace wsi
