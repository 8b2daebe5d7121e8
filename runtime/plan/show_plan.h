// A plan for people, and for scripts. Both texts depend on the plan alone.
#pragma once

#include <string>

namespace wsi::plan {
class Plan;
}

namespace wsi {

// Which sections follow the summary.
struct ShowPlanOptions {
  bool memory = false;    // Every buffer with its place and lifetime.
  bool schedule = false;  // Every instruction with its operands and waits.
  bool ops = false;       // Launches, FLOPs and bytes by operator.
};

// REQUIRES: the plan has passed VerifyPlan.
std::string ShowPlan(const plan::Plan& plan, const ShowPlanOptions& options);
// One JSON object with everything that ShowPlan can print.
std::string PlanToJson(const plan::Plan& plan);

}  // namespace wsi
