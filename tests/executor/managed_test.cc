// Plans whose copies are moves in managed memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/executor/managed_layout.h"
#include "tests/executor/small_run.h"

namespace wsi {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Bytes kGiB = Bytes{1} << 30;

plan::Plan ManagedPlan() {
  plan::Plan plan = MakeSmallPlan();
  plan.set_managed(true);
  return plan;
}

// The input, its copy on the host and what comes back of it.
std::vector<int32_t> MovedBuffers(const plan::Plan& plan) {
  const auto& train = plan.programs(0);
  return {train.instructions(1).copy().from(), train.instructions(1).copy().to(),
          train.instructions(5).copy().to()};
}

TEST(ManagedLayout, WhatCopiesConnectSharesARegion) {
  const plan::Plan plan = ManagedPlan();
  const ManagedLayout layout = ComputeManagedLayout(plan).value();
  const std::vector<int32_t> moved = MovedBuffers(plan);
  for (int b = 0; b < plan.buffers_size(); ++b) {
    const auto i = static_cast<size_t>(b);
    const bool moves = std::count(moved.begin(), moved.end(), b) > 0;
    EXPECT_EQ(layout.shared[i], moves) << b;
    const bool there = layout.offsets[i] == layout.offsets[static_cast<size_t>(moved[0])];
    EXPECT_EQ(there, moves) << b;
    EXPECT_LE(layout.offsets[i] + plan.buffers(b).size(), layout.bytes) << b;
  }
  EXPECT_EQ(layout.shared_bytes, 24);
}

TEST(ManagedLayout, WhatIsWrittenWhileItsCopyIsStillReadSharesNothing) {
  plan::Plan plan = ManagedPlan();
  // The second operator writes where x is, which the copy on the host outlives.
  const int32_t x = plan.programs(0).inputs(0);
  const int32_t d = ValueIndex(plan, "d");
  plan.mutable_values(d)->set_buffer(plan.values(x).buffer());
  const ManagedLayout layout = ComputeManagedLayout(plan).value();
  for (const bool shared : layout.shared) EXPECT_FALSE(shared);
  EXPECT_EQ(layout.shared_bytes, 0);
}

TEST(ManagedLayout, MoreThanTheDeviceHasFreeIsRefused) {
  const ManagedLayout layout = {
      .offsets = {}, .shared = {}, .bytes = 90 * kGiB, .shared_bytes = 30 * kGiB};
  const Status refused = CheckManagedBytes(layout, 70 * kGiB, 80 * kGiB, false);
  EXPECT_EQ(ExitCode(refused.code()), 4);
  EXPECT_THAT(refused.message(),
              AllOf(HasSubstr("90.0 GiB"), HasSubstr("30.0 GiB"), HasSubstr("70.0 GiB"),
                    HasSubstr("80.0 GiB"), HasSubstr("--allow-oversubscription")));
  EXPECT_TRUE(CheckManagedBytes(layout, 70 * kGiB, 80 * kGiB, true).ok());
  EXPECT_TRUE(CheckManagedBytes(layout, 90 * kGiB, 90 * kGiB, false).ok());
  EXPECT_TRUE(CheckManagedBytes(layout, 0, 0, false).ok());  // No memory of its own.
}

class ManagedRun : public SmallRun {
 protected:
  std::vector<double> WeightsAfterSteps() {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Step(kAllPhases).status().message(), "");
    return executor_->ReadPersistent(0).value().ToDoubles();
  }
};

TEST_F(ManagedRun, CopiesBecomeMovesWithTheSameNumbers) {
  backend_.lag_ms = 5;
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  const std::vector<double> wanted = WeightsAfterSteps();
  EXPECT_EQ(backend_.moves, 0);
  backend_.device_bytes = backend_.host_bytes = 0;
  ASSERT_TRUE(Start(ManagedPlan()).ok());
  EXPECT_EQ(WeightsAfterSteps(), wanted);
  EXPECT_EQ(backend_.moves, 4);  // Out and in, twice.
  EXPECT_EQ(backend_.device_bytes, 0);
  EXPECT_EQ(backend_.host_bytes, 0);
  EXPECT_EQ(backend_.managed_bytes, ComputeManagedLayout(ManagedPlan()).value().bytes);
}

TEST_F(ManagedRun, NothingIsAllocatedWhereItIsRefused) {
  backend_.memory = {.free = 100, .total = 4096, .used_before = 0};
  const Status refused = Start(ManagedPlan());
  EXPECT_EQ(ExitCode(refused.code()), 4);
  EXPECT_THAT(refused.message(), AllOf(HasSubstr("small.plan"), HasSubstr("100 B free")));
  EXPECT_EQ(backend_.managed_bytes, 0);
  EXPECT_TRUE(Start(ManagedPlan(), {.allow_oversubscription = true}).ok());
  backend_.memory.free = 1 << 20;
  EXPECT_TRUE(Start(ManagedPlan()).ok());
}

}  // namespace
}  // namespace wsi
