// What `wsic compile` says of a plan before anything runs.
#pragma once

#include <string>

#include "runtime/base/checked.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct PlanSummary {
  const plan::Plan* plan = nullptr;  // Where it does not fit, the one without copies.
  std::string path;
  bool json = false;
  bool fits = true;
  Bytes smallest_device_bytes = 0;  // Where it does not fit.
};

// One JSON object on stdout, or a line on stderr.
void PrintSummary(const PlanSummary& summary);

}  // namespace wsi
