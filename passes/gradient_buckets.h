// Gradients on their way over the ranks.
#pragma once

#include <span>

#include "compiler/ir/graph.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// What buckets are filled to: large enough for a network's latency not to count, small
// enough that a step on one rank, which has no use for them, does not need more memory.
inline constexpr Bytes kBucketBytes = Bytes{1} << 20;

// Replaces each pair's gradient by its mean over the ranks. Gradients go in buckets, in the
// order in which backward finishes them: neighbours share an AllReduce until it has
// `bucket_bytes`, one that has as much by itself goes alone.
//
//   backward   g5 --- g4 - g3 ----------------- g2 - g1 --
//   AllReduce              (g5 g4 g3)           (g2) (g1 ...
Status ReduceGradients(Graph& graph, std::span<ParameterGradient> pairs, Bytes bucket_bytes);

}  // namespace wsi
