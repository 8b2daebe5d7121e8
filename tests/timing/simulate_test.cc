#include "runtime/timing/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "runtime/timing/all_reduce_time.h"
#include "runtime/timing/rates.h"
#include "tests/plan/small_plan.h"
#include "tests/timing/schedule.h"

namespace wsi {

bool operator==(const Span& a, const Span& b) { return a.start == b.start && a.end == b.end; }
void PrintTo(const Span& span, std::ostream* out) { *out << span.start << ".." << span.end; }

namespace {

using testing::ElementsAre;

constexpr plan::Lane kIn = plan::LANE_IN;
constexpr plan::Lane kOut = plan::LANE_OUT;

Timeline Simulate(const Schedule& schedule) {
  return SimulateProgram(schedule.plan(), schedule.program(), UnitRates());
}

TEST(Simulate, OneLaneWorksInOrder) {
  const Timeline t = Simulate(Schedule().Launch(2).Launch(3).Launch(1));
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 2}, Span{2, 5}, Span{5, 6}));
  EXPECT_EQ(t.step_seconds, 6);
  EXPECT_EQ(t.stalled_seconds(), 0);
  EXPECT_EQ(t.copied_bytes(), 0);
  EXPECT_THAT(CriticalChain(t), ElementsAre(0, 1, 2));
}

// compute  0 0 . 3 3 3
// in       1 1 1 2
TEST(Simulate, LanesRunBesideEachOther) {
  const Timeline t = Simulate(Schedule().Launch(2).Copy(kIn, 3).Copy(kIn, 1).Launch(3, {1}));
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 2}, Span{0, 3}, Span{3, 4}, Span{3, 6}));
  EXPECT_EQ(t.step_seconds, 6);
  EXPECT_EQ(t.stalled_seconds(), 1);
  EXPECT_DOUBLE_EQ(t.stalled_share(), 1.0 / 6);
  EXPECT_EQ(t.lanes[kIn].busy_seconds, 4);
  EXPECT_EQ(t.lanes[kIn].copied_bytes, 4);
  EXPECT_EQ(t.lanes[kIn].instructions, 2);
  EXPECT_THAT(CriticalChain(t), ElementsAre(1, 3));
}

// A lane is a queue: what waits holds up all behind it.
// compute  0 0 0 0 0
// out      . . . . . 1 1 2
TEST(Simulate, AWaitHoldsUpItsLane) {
  const Timeline t = Simulate(Schedule().Launch(5).Copy(kOut, 2, {0}).Copy(kOut, 1));
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 5}, Span{5, 7}, Span{7, 8}));
  EXPECT_EQ(t.stalled_seconds(), 3);  // Nothing is computed while the step drains.
}

// An offload and its way back through all four tiers' lanes.
TEST(Simulate, ChainsThroughEveryLane) {
  const Timeline t = Simulate(Schedule()
                                  .Launch(1)
                                  .Copy(plan::LANE_OUT, 2, {0})
                                  .Copy(plan::LANE_WRITE, 3, {1})
                                  .Launch(1)
                                  .Copy(plan::LANE_READ, 4, {2})
                                  .Copy(plan::LANE_IN, 2, {4})
                                  .Launch(1, {3, 5}));
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 1}, Span{1, 3}, Span{3, 6}, Span{1, 2}, Span{6, 10},
                                   Span{10, 12}, Span{12, 13}));
  EXPECT_EQ(t.copied_bytes(), 11);
  EXPECT_THAT(CriticalChain(t), ElementsAre(0, 1, 2, 4, 5, 6));
}

// compute  0 | 3      out 1 1 1 |      in 2 2 | 4
TEST(Simulate, ABarrierHoldsEveryLane) {
  const Timeline t =
      Simulate(Schedule().Launch(1).Copy(kOut, 3).Copy(kIn, 2).Barrier().Launch(1).Copy(kIn, 1));
  EXPECT_THAT(t.spans,
              ElementsAre(Span{0, 1}, Span{0, 3}, Span{0, 2}, Span{3, 3}, Span{3, 4}, Span{3, 4}));
  EXPECT_EQ(t.step_seconds, 4);
  EXPECT_EQ(t.stalled_seconds(), 2);
  EXPECT_EQ(t.lanes[plan::LANE_COMPUTE].instructions, 2);
  EXPECT_THAT(CriticalChain(t), ElementsAre(1, 3, 4));
}

TEST(Simulate, ABarrierMayBeOnAnyLane) {
  const Timeline t = Simulate(Schedule().Launch(4).Barrier(kOut).Copy(kIn, 1));
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 4}, Span{4, 4}, Span{4, 5}));
}

TEST(Simulate, FixedTimesCountForEachInstruction) {
  plan::Rates rates = UnitRates();
  rates.set_launch_seconds(0.5);
  rates.set_copy_seconds(0.25);
  const Schedule schedule = Schedule().Launch(1).Launch(1).Copy(kIn, 1);
  const Timeline t = SimulateProgram(schedule.plan(), schedule.program(), rates);
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 1.5}, Span{1.5, 3}, Span{0, 1.25}));
}

TEST(Simulate, CollectivesOfSeveralRanksTakeTheirLane) {
  const Schedule schedule = TwoBuckets();
  const Timeline one = SimulateProgram(schedule.plan(), schedule.program(), LinkRates());
  EXPECT_EQ(one.step_seconds, 22);
  const Timeline two =
      SimulateProgram(schedule.plan(), schedule.program(), LinkRates(), {.ranks = 2});
  EXPECT_THAT(two.spans, ElementsAre(Span{0, 10}, Span{10, 16}, Span{10, 20}, Span{20, 21},
                                     Span{20, 26}, Span{26, 27}));
  EXPECT_EQ(two.lanes[plan::LANE_COMM].busy_seconds, 12);
}

// Half of a collective's time is that of the launch beside it:
//
// compute  0 | 2 2 2 2 2 | 3 . . . 5
// comm         1 1 1       4 4 4
TEST(Simulate, CollectivesMaySlowWhatIsComputed) {
  const Schedule schedule = TwoBuckets();
  plan::Rates rates = LinkRates();
  SetLink({.bytes_per_second = 4, .compute_seconds_per_byte = 0.125}, rates);
  const Timeline t = SimulateProgram(schedule.plan(), schedule.program(), rates, {.ranks = 2});
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 10}, Span{10, 16}, Span{10, 23}, Span{23, 24},
                                   Span{23, 29}, Span{29, 30}));
  const Timeline one = SimulateProgram(schedule.plan(), schedule.program(), rates);
  EXPECT_EQ(one.step_seconds, 22);
}

TEST(Simulate, CollectivesMayTakeAllOfTheProcessor) {
  const Schedule schedule = TwoBuckets();
  plan::Rates rates = LinkRates();
  SetLink({.bytes_per_second = 4, .compute_seconds_per_byte = 100}, rates);
  const Timeline t = SimulateProgram(schedule.plan(), schedule.program(), rates, {.ranks = 2});
  EXPECT_THAT(t.spans, ElementsAre(Span{0, 10}, Span{10, 16}, Span{10, 26}, Span{26, 27},
                                   Span{26, 32}, Span{32, 33}));
}

TEST(Simulate, AMicroStepHasNoUpdates) {
  const Schedule schedule = TwoBuckets();
  const Timeline t = SimulateProgram(schedule.plan(), schedule.program(), LinkRates(),
                                     {.ranks = 2, .update = false});
  EXPECT_EQ(t.step_seconds, 20);
  EXPECT_LT(t.spans[1].start, 0);
  EXPECT_EQ(t.lanes[plan::LANE_COMM].instructions, 0);
}

TEST(Simulate, AnEmptyProgramTakesNoTime) {
  const Timeline t = Simulate(Schedule());
  EXPECT_EQ(t.step_seconds, 0);
  EXPECT_EQ(t.stalled_share(), 0);
  EXPECT_TRUE(CriticalChain(t).empty());
}

TEST(Simulate, MoreBytesThanAnIntegerHoldsAreTheLargest) {
  const int64_t huge = int64_t{1} << 62;
  const Timeline t = Simulate(Schedule().Copy(kIn, huge).Copy(kIn, huge).Copy(kOut, huge));
  EXPECT_EQ(t.copied_bytes(), std::numeric_limits<int64_t>::max());
}

// 48 bytes and 6 flops each; the copies 24 bytes.
TEST(Simulate, ReplaysAWholePlan) {
  const plan::Plan plan = MakeSmallPlan();
  const Timeline t = SimulateProgram(plan, plan.programs(0), UnitRates());
  EXPECT_THAT(t.spans,
              ElementsAre(Span{0, 48}, Span{0, 24}, Span{48, 96}, Span{96, 144}, Span{144, 192},
                          Span{48, 72}, Span{192, 240}, Span{240, 288}, Span{288, 288}));
  EXPECT_EQ(t.copied_bytes(), 48);
}

Schedule RandomSchedule(std::mt19937& random, int instructions) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  Schedule schedule;
  for (int i = 0; i < instructions; ++i) {
    std::vector<int32_t> waits;
    for (int k = below(3); k > 0 && i > 0; --k) waits.push_back(below(i));
    const int kind = below(20);
    if (kind == 0) {
      schedule.Barrier(static_cast<plan::Lane>(below(plan::Lane_ARRAYSIZE)));
    } else if (kind < 10) {
      schedule.Launch(below(9), waits);
    } else {
      const plan::Lane lanes[] = {kIn, kOut, plan::LANE_READ, plan::LANE_WRITE};
      schedule.Copy(lanes[below(4)], below(9), waits);
    }
  }
  return schedule;
}

// Whether instruction j must have ended before i > j starts, other than through others.
bool Precedes(const plan::Program& program, int j, int i) {
  const plan::Instruction& a = program.instructions(j);
  const plan::Instruction& b = program.instructions(i);
  const auto& waits = b.waits();
  return a.lane() == b.lane() || a.has_barrier() || b.has_barrier() ||
         std::find(waits.begin(), waits.end(), j) != waits.end();
}

// Every instruction starts exactly when the last of those that it depends on has ended.
TEST(Simulate, RandomSchedulesRespectEveryDependency) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const Schedule schedule = RandomSchedule(random, 60);
    const Timeline t = Simulate(schedule);
    double last = 0;
    for (int i = 0; i < schedule.program().instructions_size(); ++i) {
      double expected = 0;
      for (int j = 0; j < i; ++j) {
        if (!Precedes(schedule.program(), j, i)) continue;
        expected = std::max(expected, t.spans[static_cast<size_t>(j)].end);
      }
      const Span& span = t.spans[static_cast<size_t>(i)];
      ASSERT_EQ(span.start, expected) << "round " << round << ", instruction " << i;
      const plan::Instruction& instruction = schedule.program().instructions(i);
      const double seconds =
          instruction.has_launch() ? instruction.launch().flops()
          : instruction.has_copy()
              ? static_cast<double>(schedule.plan().buffers(instruction.copy().to()).size())
              : 0;
      ASSERT_EQ(span.end, expected + seconds);
      last = std::max(last, span.end);
    }
    ASSERT_EQ(t.step_seconds, last);
  }
}

// The chain is unbroken from 0 to the end of the step.
TEST(Simulate, TheCriticalChainFillsTheStep) {
  std::mt19937 random(8);
  for (int round = 0; round < 200; ++round) {
    const Timeline t = Simulate(RandomSchedule(random, 60));
    double now = 0;
    for (const int i : CriticalChain(t)) {
      EXPECT_EQ(t.spans[static_cast<size_t>(i)].start, now);
      now = t.spans[static_cast<size_t>(i)].end;
    }
    EXPECT_EQ(now, t.step_seconds);
  }
}

}  // namespace
}  // namespace wsi
