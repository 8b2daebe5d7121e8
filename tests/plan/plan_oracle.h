// Whether a plan does what it says, found out by running it with hashes for tensors.
//
// What it says: instructions run one by one in memory that nothing shares; an operand
// is what was last written under its name, or, of a value that no instruction writes,
// what its buffer holds. What it does: the arenas as planned, poisoned at first, and
// every instruction once as early and once as late as lanes, waits and barriers allow,
// which brings any two unordered instructions together in both orders. Both with the
// update phase and without it.
#pragma once

#include <string>

#include "runtime/plan/plan.pb.h"

namespace wsi {

// Where the two differ, in words; empty where they agree: in every operand of every
// launch, in gradients where they are complete, and, at the end, in outputs, loss and
// persistent values. REQUIRES: indices, sizes and offsets in range.
std::string FindFlaw(const plan::Plan& plan);

}  // namespace wsi
