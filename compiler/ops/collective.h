// What ranks do together.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

// The most operands that one AllReduce has.
inline constexpr int kMostReduced = 64;

extern const OpDef kAllReduce;

// Whether nodes of the operator become a plan's collectives: output i of each is written over
// input i, or over a copy where others still read that.
bool IsCollective(const OpDef& def);

}  // namespace wsi
