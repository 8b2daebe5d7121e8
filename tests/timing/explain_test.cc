#include "runtime/timing/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/plan/small_plan.h"
#include "tests/timing/schedule.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const BufferLife* FindLife(const MemoryTimeline& memory, const std::string& name) {
  const auto at = std::find_if(memory.buffers.begin(), memory.buffers.end(),
                               [&](const BufferLife& life) { return life.name == name; });
  return at == memory.buffers.end() ? nullptr : &*at;
}

TEST(MemoryTimeline, SumsWhatIsLive) {
  const MemoryTimeline memory = ComputeMemoryTimeline(MakeSmallPlan(), 0);
  const TierTimeline& device = memory.tiers[plan::TIER_DEVICE];
  // w 24, total 4, c 24 always; x 24 in [0,2), h 24 in [0,7), t 24 in [0,3), lr 4, loss 4
  // in [3,9), workspace 64 in [3,4), x.back 24 in [5,7), w.grad 24 in [6,9).
  EXPECT_THAT(device.live, ElementsAre(128, 128, 104, 148, 84, 108, 132, 84, 84));
  EXPECT_EQ(device.persistent, 52);
  EXPECT_EQ(device.peak, 148);
  EXPECT_EQ(device.peak_at, 3);
  EXPECT_EQ(device.arena, 2328);
  EXPECT_THAT(memory.tiers[plan::TIER_HOST].live, ElementsAre(0, 24, 24, 24, 24, 24, 0, 0, 0));
  EXPECT_EQ(memory.tiers[plan::TIER_FILE].peak, 0);
}

TEST(MemoryTimeline, SaysWhatBuffersAreFor) {
  const MemoryTimeline memory = ComputeMemoryTimeline(MakeSmallPlan(), 0);
  ASSERT_EQ(memory.buffers.size(), 12U);
  EXPECT_EQ(memory.buffers[0].name, "workspace of HalfSumSquares_node");  // The largest.
  EXPECT_EQ(memory.buffers[0].use, BufferUse::kWorkspace);
  EXPECT_EQ(FindLife(memory, "w")->use, BufferUse::kParameter);
  EXPECT_EQ(FindLife(memory, "w")->end, 9);
  EXPECT_EQ(FindLife(memory, "total")->use, BufferUse::kState);
  EXPECT_EQ(FindLife(memory, "x")->use, BufferUse::kInput);
  EXPECT_EQ(FindLife(memory, "h")->use, BufferUse::kActivation);
  EXPECT_EQ(FindLife(memory, "x.back")->use, BufferUse::kActivation);
  EXPECT_EQ(FindLife(memory, "w.grad")->use, BufferUse::kBackward);
  EXPECT_EQ(FindLife(memory, "w.grad")->begin, 6);
  EXPECT_EQ(FindLife(memory, "h.infer"), nullptr);  // Of the other program.
}

TEST(MemoryTimeline, EachProgramHasItsOwn) {
  const MemoryTimeline memory = ComputeMemoryTimeline(MakeSmallPlan(), 1);
  EXPECT_THAT(memory.tiers[plan::TIER_DEVICE].live, ElementsAre(100, 76, 76));
  EXPECT_NE(FindLife(memory, "h.infer"), nullptr);
}

TEST(MemoryTimeline, OptimizerStateIsItsOwnUse) {
  plan::Plan plan = MakeSmallPlan();
  plan.mutable_persistents(1)->set_optimizer_state(true);
  EXPECT_EQ(FindLife(ComputeMemoryTimeline(plan, 0), "total")->use, BufferUse::kOptimizer);
}

TEST(MemoryChart, MarksThePeak) {
  TierTimeline tier;
  tier.live = {1, 2, 4, 4, 8, 6, 2, 2};
  tier.peak = 8;
  tier.peak_at = 4;
  EXPECT_EQ(MemoryChart(tier, 72, 4),
            "       8 B |    #\n"
            "           |    ##\n"
            "           |  ####\n"
            "           | #######\n"
            "       0 B +--------\n"
            "            0      7\n"
            "                ^ peak, instruction 4\n");
}

TEST(MemoryChart, AColumnShowsItsLargest) {
  TierTimeline tier;
  tier.live.assign(100, 0);
  tier.live[57] = 2;
  tier.peak = 2;
  tier.peak_at = 57;
  EXPECT_EQ(MemoryChart(tier, 10, 1),
            "       2 B |     #\n"
            "       0 B +----------\n"
            "            0       99\n"
            "                 ^ peak, instruction 57\n");
}

TEST(Explain, GroupsAreWhatBarriersSeparate) {
  const Schedule schedule = Schedule()
                                .Launch(2)
                                .Copy(plan::LANE_OUT, 5)
                                .Barrier()
                                .Launch(1)
                                .Launch(1)
                                .Barrier()
                                .Barrier()
                                .Copy(plan::LANE_IN, 3);
  const Explanation e = Explain(schedule.plan(), 0, UnitRates());
  ASSERT_EQ(e.groups.size(), 3U);
  EXPECT_EQ(e.groups[0].end, 2);
  EXPECT_EQ(e.groups[0].seconds, 5);
  EXPECT_EQ(e.groups[0].compute_seconds, 2);
  EXPECT_EQ(e.groups[0].copied_bytes, 5);
  EXPECT_EQ(e.groups[1].begin, 3);
  EXPECT_EQ(e.groups[1].end, 5);
  EXPECT_EQ(e.groups[1].seconds, 2);
  EXPECT_EQ(e.groups[2].begin, 7);
  EXPECT_EQ(e.groups[2].seconds, 3);
  EXPECT_TRUE(Explain(Schedule().Launch(1).plan(), 0, UnitRates()).groups.empty());
}

TEST(Explain, TextSaysItAll) {
  const plan::Plan plan = MakeSmallPlan();
  const std::string text = ExplanationText(plan, UnitRates(), Explain(plan, 0, UnitRates()), 2);
  EXPECT_EQ(text,
            R"(train of small.onnx: 9 instructions for device cpu, fp32; rates of unit
step: 288000.000 ms predicted, computing 288000.000 ms, stalled 0.000 ms (0.0 %)
  compute       6 instructions, busy 288000.000 ms
  in            1 instructions, busy  24000.000 ms, 24 B copied
  out           1 instructions, busy  24000.000 ms, 24 B copied
  critical chain: compute 288000.000 ms

device memory: arena 2.3 KiB, 148 B live at the peak (6.4 %), 52 B of that persistent
peak at instruction 3 'HalfSumSquares_node' (HalfSumSquares)
     148 B |   #
           |## #  #
           |#### ##
           |#########
           |#########
           |#########
           |#########
           |#########
       0 B +---------
            0       8
               ^ peak, instruction 3

host memory: arena 24 B, 24 B live at the peak (100.0 %), 0 B of that persistent
peak at instruction 1 'copy_x' (copy)
      24 B | #####
           | #####
           | #####
           | #####
           | #####
           | #####
           | #####
           | #####
       0 B +---------
            0       8
             ^ peak, instruction 1

 group   begin     end           ms    computing     copied  device peak
     0       0       8   288000.000   288000.000       48 B        148 B

largest buffers (* live at its tier's peak)
      size  of peak  tier   use         name, and when it is live
      64 B   43.2 %* device workspace   workspace of HalfSumSquares_node, [3, 4): from 3 'HalfSumSquares_node' (HalfSumSquares) to 3 'HalfSumSquares_node' (HalfSumSquares)
      24 B   16.2 %* device parameter   w, always
)");
}

TEST(Explain, JsonHasTheSameContents) {
  const plan::Plan plan = MakeSmallPlan();
  const auto json =
      nlohmann::json::parse(ExplanationJson(plan, UnitRates(), Explain(plan, 0, UnitRates()), 3));
  EXPECT_EQ(json["program"], "train");
  EXPECT_EQ(json["predicted_step_ms"], 288000.0);
  EXPECT_EQ(json["stalled_share"], 0.0);
  EXPECT_EQ(json["copied_bytes_per_step"], 48);
  EXPECT_EQ(json["lanes"]["in"]["copied_bytes"], 24);
  EXPECT_EQ(json["tiers"]["device"]["peak_bytes"], 148);
  EXPECT_EQ(json["tiers"]["device"]["live_bytes"].size(), 9U);
  EXPECT_EQ(json["groups"].size(), 1U);
  ASSERT_EQ(json["largest_buffers"].size(), 3U);
  EXPECT_EQ(json["largest_buffers"][1]["name"], "w");
  EXPECT_EQ(json["largest_buffers"][1]["persistent"], true);
}

}  // namespace
}  // namespace wsi
