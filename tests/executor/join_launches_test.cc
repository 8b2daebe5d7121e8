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
  ASSERT_TRUE(Start(PlanWithTwoUpdates()).ok());
  executor_->SetTiming(true);
  ASSERT_EQ(Step(kAllPhases).status().message(), "");
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 1);
  EXPECT_EQ(Updates(), 1);
}

TEST_F(Joined, OthersRunOneByOne) {
  backend_.joined_op = "Mul";
  ASSERT_TRUE(Start(PlanWithTwoUpdates()).ok());
  executor_->SetTiming(true);
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 0);
  EXPECT_EQ(Updates(), 2);
}

TEST_F(Joined, ASkippedPhaseSkipsAll) {
  ASSERT_TRUE(Start(PlanWithTwoUpdates()).ok());
  ASSERT_TRUE(Step(kNoUpdate).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(),
            (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST_F(Joined, AWaitForAnotherLaneKeepsLaunchesApart) {
  plan::Plan plan = PlanWithTwoUpdates();
  plan.mutable_programs(0)->mutable_instructions(8)->add_waits(5);
  ASSERT_TRUE(Start(plan).ok());
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(executor_->ReadPersistent(0).value().ToDoubles(), kTwiceUpdated);
  EXPECT_EQ(backend_.joints, 0);
}

TEST_F(Joined, PoisonedRunsGoOneByOne) {
  ASSERT_TRUE(Start(PlanWithTwoUpdates(), {.poison = true}).ok());
  ASSERT_TRUE(Step(kAllPhases).ok());
  EXPECT_EQ(backend_.joints, 0);
}

TEST_F(Joined, AnErrorNamesFirstAndLast) {
  ASSERT_TRUE(Start(PlanWithTwoUpdates()).ok());
  backend_.fails_now = "SgdUpdate";
  EXPECT_THAT(Step(kAllPhases).status().message(),
              HasSubstr("SgdUpdate of SgdUpdate to again: made to fail"));
}

}  // namespace
}  // namespace wsi
