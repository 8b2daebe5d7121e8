// Who names a value, while a pass rewrites operands.
#pragma once

#include <vector>

#include "compiler/ir/graph.h"

namespace wsi {

// A snapshot: rewriting the graph does not change it.
class ValueReaders {
 public:
  explicit ValueReaders(const Graph& graph);

  const std::vector<Use>& uses(ValueId id) const { return uses_[static_cast<size_t>(id.index)]; }
  // Whether an output, the loss, an update or a gradient of the graph names it.
  bool IsResult(ValueId id) const { return is_result_[static_cast<size_t>(id.index)]; }
  // Whether one operand of one node is all that names it.
  bool HasOneUse(ValueId id) const { return uses(id).size() == 1 && !IsResult(id); }

 private:
  std::vector<std::vector<Use>> uses_;
  std::vector<bool> is_result_;
};

}  // namespace wsi
