// The two forms of a value while the layout pass runs: ONNX's axis order and channels
// last. Each value exists in one natively; the other is made on demand, once.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/graph.h"
#include "passes/order_builder.h"
#include "runtime/base/status.h"

namespace wsi {

// 0, 2, ..., rank-1, 1: axis i of the channels-last form is this axis of ONNX's.
std::vector<int64_t> ToChannelsLast(int rank);
// Its inverse: 0, rank-1, 1, ..., rank-2.
std::vector<int64_t> ToChannelsFirst(int rank);
// Whether a transposition by `perm` only moves axes of size 1, so that the bytes stay.
bool MovesOnlyUnitAxes(const Shape& shape, std::span<const int64_t> perm);

// Borrows the graph and the order that is being built.
class LayoutForms {
 public:
  LayoutForms(Graph& graph, OrderBuilder& builder) : graph_(graph), builder_(builder) {}

  bool IsLast(ValueId id) const { return last_.contains(id); }
  void MarkLast(ValueId id) { last_.emplace(id, true); }
  // The value in the form asked for. REQUIRES: of rank 3 or more where it has to change.
  Result<ValueId> First(ValueId id);
  Result<ValueId> Last(ValueId id);
  // A broadcast operand of lower rank, in the channels-last form of rank `rank`.
  Result<ValueId> LastOfRank(ValueId id, int rank);

 private:
  Result<ValueId> Transpose(ValueId id, std::vector<int64_t> perm, const std::string& name);
  Result<ValueId> Reshape(ValueId id, const Shape& shape, const std::string& name);
  Result<ValueId> Convert(ValueId id, bool to_last);

  Graph& graph_;
  OrderBuilder& builder_;
  std::map<ValueId, bool> last_;
  std::map<ValueId, ValueId> other_;
  std::map<std::pair<ValueId, int>, ValueId> broadcast_;
};

}  // namespace wsi
