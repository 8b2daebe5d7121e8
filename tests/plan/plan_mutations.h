// Ways to break a plan, one for each thing that VerifyPlan says it checks.
#pragma once

#include <random>
#include <span>
#include <string_view>

#include "runtime/plan/plan.pb.h"

namespace wsi {

struct PlanMutation {
  std::string_view name;
  // Changes something at random; false if there is nothing that it could change.
  bool (*apply)(plan::Plan& plan, std::mt19937_64& random);
  bool always_wrong = false;  // No plan that it changed is right.
};

std::span<const PlanMutation> PlanMutations();

}  // namespace wsi
