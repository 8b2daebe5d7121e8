// Memory and waits for plans that have neither yet.
#pragma once

#include <cstdint>
#include <random>

#include "runtime/plan/plan.pb.h"

namespace wsi {

// Gives every buffer, in random order, the lowest offset that no buffer takes which is
// live beside it, and sets the arenas' sizes. Buffers in host and file memory begin at
// multiples of `alignment`.
void PlaceRandomly(plan::Plan& plan, int64_t alignment, std::mt19937_64& random);

// Adds, by comparing every pair of instructions, the waits without which two that touch
// the same bytes, one of them writing, could meet. REQUIRES: placed buffers.
void AddWaits(const plan::Plan& plan, plan::Program& program);

// The same plan in which no two buffers share memory.
plan::Plan WithoutSharing(plan::Plan plan);

}  // namespace wsi
