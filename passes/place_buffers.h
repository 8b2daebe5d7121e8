// PlaceBuffers: offsets in one arena for buffers whose sizes and lifetimes are known,
// such that those live together do not overlap.
//
//   offset ^      +-----+
//          |      |  b  |+-----+
//          |  +---+-----++  d  |      height: the arena's size
//          |  |   a    | +-----+
//          +--+--------+---------> step
#pragma once

#include <span>
#include <vector>

#include "passes/liveness.h"
#include "runtime/base/checked.h"

namespace wsi {

struct SizedRange {
  Bytes size = 0;
  LiveRange live;
};

struct Placement {
  std::vector<Bytes> offsets;  // By item; multiples of the alignment. 0 if never live.
  Bytes height = 0;            // A multiple of the alignment; 0 where all are empty.
};

// The largest sum of live bytes at any step, sizes rounded up to the alignment. No
// placement is lower.
Bytes PlacementLowerBound(std::span<const SizedRange> items, Bytes alignment = kBufferAlignment);

// Places items one by one, each where it fits best between those already placed, by
// falling size; where that misses the lower bound, in other orders, and then in small
// random changes of the best one. Deterministic; `max_work` bounds the pairs of items
// that are looked at beyond the first order. Stops early at a height of
// `good_enough` within a twentieth of the lower bound.
// REQUIRES: sizes >= 0, and the sum of aligned sizes fits Bytes.
struct PlacementOptions {
  Bytes alignment = kBufferAlignment;
  Bytes good_enough = 0;
  int64_t max_work = 200'000'000;
};
Placement PlaceBuffers(std::span<const SizedRange> items, const PlacementOptions& options = {});

}  // namespace wsi
