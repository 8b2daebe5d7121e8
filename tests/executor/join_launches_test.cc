// Neighbours that a backend takes together run once, and give what they gave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/executor/small_run.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// The small plan with the update a second time instead of the barrier: w -= 2 * lr * g.
plan::Plan PlanWithTwoUpdates() {
  plan::Plan plan = MakeSmallPlan();
  plan::Program* train = plan.mutable_programs(0);
  *train->mutable_instructions(8) = train->instructions(7);
  train->mutable_instructions(8)->set_name("again");
  const int32_t w = train->instructions(7).launch().outputs(0);
  plan::Value again = plan.values(w);
  again.set_name("w.again");
  *plan.add_values() = again;
  train->mutable_instructions(8)->mutable_launch()->set_inputs(0, w);
  train->mutable_instructions(8)->mutable_launch()->set_outputs(0, plan.values_size() - 1);
  return plan;
}

class Joined : public SmallRun {
 protected:
  Joined() { backend_.joined_op = "SgdUpdate"; }
  int64_t Updates() {
    for (const OpTime& time : executor_->OpTimes(kTrain)) {
      if (time.op == "SgdUpdate") return time.launches;
    }
    return -1;
  }
};

const std::vector<double> kTwiceUpdated = {-1, -10, -4, -13, -7, -16};

TEST_F(Joined, NeighboursRunOnce) {
  ASSERT_EQ(Start(PlanWithTwoUpdates()).message(), "");
  executor_->SetTiming(true);
  ASSERT_EQ(Step(kAllPhases).status().message(), "");
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 1);
  EXPECT_EQ(Updates(), 1);
}

TEST_F(Joined, OthersRunOneByOne) {
  backend_.joined_op = "Mul";
  ASSERT_EQ(Start(PlanWithTwoUpdates()).message(), "");
  executor_->SetTiming(true);
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 0);
  EXPECT_EQ(Updates(), 2);
}

TEST_F(Joined, ASkippedPhaseSkipsAll) {
  ASSERT_EQ(Start(PlanWithTwoUpdates()).message(), "");
  ASSERT_TRUE(Step(kNoUpdate).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(),
            (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST_F(Joined, AWaitForAnotherLaneKeepsLaunchesApart) {
  plan::Plan plan = PlanWithTwoUpdates();
  plan.mutable_programs(0)->mutable_instructions(8)->add_waits(5);
  ASSERT_EQ(Start(plan).message(), "");
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 0);
}

TEST_F(Joined, PoisonedRunsGoOneByOne) {
  ASSERT_EQ(Start(PlanWithTwoUpdates(), {.poison = true}).message(), "");
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(backend_.joints, 0);
}

TEST_F(Joined, AnErrorNamesFirstAndLast) {
  ASSERT_EQ(Start(PlanWithTwoUpdates()).message(), "");
  backend_.fails_now = "SgdUpdate";
  EXPECT_THAT(Step(kAllPhases).status().message(),
              HasSubstr("SgdUpdate of SgdUpdate_node to again: made to fail"));
}

}  // namespace
}  // namespace wsi
