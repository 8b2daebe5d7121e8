// Writes a residency schedule into the graph it was made for: repeated operators, copies
// on demand, and homes in the host tier.
#pragma once

#include "compiler/ir/graph.h"
#include "passes/residency_model.h"
#include "passes/residency_schedule.h"
#include "runtime/base/status.h"

namespace wsi {

// Ensures: every copy in stands right before the operator that needs it, every copy out
// right behind the last use; names of new values and nodes end in ".again", ".in", ".out".
Status WriteResidency(Graph& graph, const ResidencyModel& model, const ResidencySchedule& schedule);

}  // namespace wsi
