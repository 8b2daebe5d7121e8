// What wsirun bench measured, as JSON and as text.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan.pb.h"
#include "tools/wsirun/session.h"
#include "tools/wsirun/step_times.h"

namespace wsi {

// One operator's launches of one step.
struct OperatorTime {
  std::string op;
  int64_t launches = 0;
  double seconds = 0;
  double predicted_seconds = 0;
  double flops = 0;
  double bytes = 0;
};

struct BenchResult {
  int program = 0;
  int ranks = 1;
  StepTimes times;
  std::optional<double> predicted_seconds;  // None where the rates know of no link.
  double load_seconds = 0;                  // From the plan's file to ready kernels.
  DeviceMemory memory;                      // Behind the last step.
  std::vector<OperatorTime> ops;            // The longest first; empty where they were not timed.
};

// Of one step; `times` are those of `steps` steps.
std::vector<OperatorTime> MeasureOperators(const plan::Plan& plan, const plan::Rates& rates,
                                           const std::vector<OpTime>& times, int program,
                                           int steps);

// `choices`: with those of the kernels.
nlohmann::ordered_json BenchJson(const Session& session, const BenchResult& result, bool choices);
std::string BenchText(const Session& session, const BenchResult& result, bool choices);

}  // namespace wsi
