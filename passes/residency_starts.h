// Where the search for residencies begins.
#pragma once

#include <vector>

#include "passes/residency_model.h"
#include "passes/residency_schedule.h"

namespace wsi {

struct ResidencyGoal;

// Choices by gap, the first with everything kept. Some may not be allowed by the goal.
std::vector<std::vector<GapChoice>> ResidencyStarts(const ResidencyModel& model,
                                                    const ResidencyGoal& goal);

}  // namespace wsi
