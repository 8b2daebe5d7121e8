// What a program of a plan will do: `wsic explain`.
#pragma once

#include <string>
#include <vector>

#include "runtime/timing/memory_timeline.h"
#include "runtime/timing/simulate.h"

namespace wsi {

// The instructions between two barriers, or between one and the program's start or end.
struct ProgramGroup {
  int begin = 0;  // Instructions begin <= i < end.
  int end = 0;
  double seconds = 0;  // From the barrier before to the one behind.
  double compute_seconds = 0;
  Bytes copied_bytes = 0;
  Bytes device_peak = 0;
};

struct Explanation {
  int program = 0;
  Timeline timeline;
  MemoryTimeline memory;
  std::vector<ProgramGroup> groups;  // Empty where the program has no barriers.
};

// REQUIRES: as SimulateProgram.
Explanation Explain(const plan::Plan& plan, int program, const plan::Rates& rates);

// For people. Lists `largest` buffers of all tiers together. REQUIRES: `explanation` is of `plan`.
std::string ExplanationText(const plan::Plan& plan, const plan::Rates& rates,
                            const Explanation& explanation, int largest);
// One JSON object with the same contents.
std::string ExplanationJson(const plan::Plan& plan, const plan::Rates& rates,
                            const Explanation& explanation, int largest);

// Bytes over instructions as a chart of characters, `columns` wide and `rows` high without
// its axes; a column shows the largest of its instructions. Ends with a line that marks
// the peak. REQUIRES: live is not empty; columns and rows are positive.
std::string MemoryChart(const TierTimeline& tier, int columns, int rows);

}  // namespace wsi
