// Whatever the verifier lets pass runs right, and it catches every kind of damage.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <span>
#include <string>

#include "runtime/plan/verify_plan.h"
#include "tests/plan/plan_mutations.h"
#include "tests/plan/plan_oracle.h"
#include "tests/plan/random_plan.h"
#include "tests/plan/small_plan.h"

namespace wsi {
namespace {

TEST(RandomPlan, IsAcceptedAndRight) {
  int copies = 0;
  int waits = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const plan::Plan plan =
        MakeRandomPlan({.seed = seed, .steps = 10 + static_cast<int>(seed % 50)});
    const Status status = VerifyPlan(plan);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status.message();
    ASSERT_EQ(FindFlaw(plan), "") << "seed " << seed;
    for (const plan::Instruction& i : plan.programs(0).instructions()) {
      copies += i.has_copy() ? 1 : 0;
      waits += i.waits_size();
    }
  }
  EXPECT_GT(copies, 1000);
  EXPECT_GT(waits, 2000);
}

struct Tally {
  int rejected = 0;
  int right = 0;  // Accepted, and the oracle agrees.
};

// Each mutation `times` times, every other time with any second one.
void Break(const plan::Plan& good, uint64_t seed, int times, std::map<std::string, Tally>& tally) {
  std::mt19937_64 random(seed);
  const std::span<const PlanMutation> all = PlanMutations();
  for (const PlanMutation& mutation : all) {
    for (int i = 0; i < times; ++i) {
      plan::Plan plan = good;
      if (!mutation.apply(plan, random)) continue;
      if (i % 2 == 1) all[random() % all.size()].apply(plan, random);
      Tally& count = tally[std::string(mutation.name)];
      if (!VerifyPlan(plan).ok()) {
        ++count.rejected;
        continue;
      }
      EXPECT_FALSE(mutation.always_wrong && i % 2 == 0) << mutation.name << ", seed " << seed;
      ASSERT_EQ(FindFlaw(plan), "") << mutation.name << ", seed " << seed << ", " << i;
      ++count.right;
    }
  }
}

TEST(Mutation, WhatPassesIsRight) {
  std::map<std::string, Tally> tally;
  Break(MakeSmallPlan(), 0, 60, tally);
  for (uint64_t seed = 1; seed <= 300 && !testing::Test::HasFailure(); ++seed) {
    Break(MakeRandomPlan({.seed = seed, .steps = 8 + static_cast<int>(seed % 24)}), seed, 4, tally);
  }
  int all = 0;
  for (const PlanMutation& mutation : PlanMutations()) {
    const Tally& count = tally[std::string(mutation.name)];
    EXPECT_GT(count.rejected, 0) << mutation.name << " was never caught";
    all += count.rejected + count.right;
    if (HasFailure()) continue;
    RecordProperty(std::string(mutation.name), std::to_string(count.rejected) + " caught, " +
                                                   std::to_string(count.right) + " right");
  }
  EXPECT_GT(all, 10000);
}

}  // namespace
}  // namespace wsi
