// Whether a plan, which may come from a stranger, is safe and right to run.
#pragma once

#include "runtime/base/status.h"

namespace wsi::plan {
class Plan;
}

namespace wsi {

// kInvalidInput with the first problem found, or success, which means:
// - every index, enumerator, element type, shape, permutation and size is in range,
//   and every value lies inside its buffer, every buffer inside its arena;
// - no two buffers of a tier that are live at the same instruction overlap, nor does
//   any overlap one that is written before the first instruction;
// - every operand's buffer is live at its instruction, and holds that operand's
//   contents there: nothing is read before it is written or after another value has
//   taken its place;
// - a copy moves what it says it moves, between neighbouring tiers on their lane;
// - without the update phase every operand of the others, every result and every
//   gradient is there all the same;
// - a value that a program changes and another step reads keeps its type and size;
// - waits point backward, and any two instructions that touch the same bytes, one of
//   them writing, are ordered by lanes, waits and barriers;
// - rates and amounts of work are finite and not negative.
//
// A brute-force check that shares no code with the planner; tests/plan/mutation_test.cc
// runs what it lets pass. Its time is about linear in the plan's size.
Status VerifyPlan(const plan::Plan& plan);

}  // namespace wsi
