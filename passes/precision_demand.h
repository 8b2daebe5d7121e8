// Who wants a value in fp32 whatever the precision of the activations.
#pragma once

#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ops/op_def.h"

namespace wsi {

// Whether `node` computes in fp32 in any case.
bool ComputesInFloat32(const Node& node, const OpDef& def);
// Whether input `i` is f32 where the operator's activations are half.
bool IsFloat32Input(const OpDef& def, size_t i);

// By value index.
struct PrecisionDemand {
  std::vector<bool> wants_float32;  // Something reads it as fp32, or it is a result.
  std::vector<bool> wants_half;     // Something reads it as half.

  bool OnlyFloat32(ValueId id) const {
    const auto i = static_cast<size_t>(id.index);
    return wants_float32[i] && !wants_half[i];
  }
  bool OnlyHalf(ValueId id) const {
    const auto i = static_cast<size_t>(id.index);
    return wants_half[i] && !wants_float32[i];
  }
};
// Operators that compute in what they are given, kSafe and kNeutral, pass on what is wanted
// of their results; a sum in fp32 wants nothing.
PrecisionDemand ComputePrecisionDemand(const Graph& graph);

}  // namespace wsi
