// The GradBuilder that autodiff hands to gradient rules, and the sums of gradients
// behind it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ops/op_def.h"
#include "passes/gradient_paths.h"
#include "runtime/base/status.h"

namespace wsi {

// The gradients known so far. A second one for the same value is added to the first
// right away.
class GradientSums {
 public:
  explicit GradientSums(Graph& graph) : graph_(graph) {}

  // Invalid if none has reached `value`.
  ValueId Find(ValueId value) const;
  Status Accumulate(ValueId value, ValueId gradient);

 private:
  Graph& graph_;
  std::map<ValueId, ValueId> sums_;
};

// Appends the gradient of one forward node. What a rule reads of the operator comes from
// `forward`, a copy of the graph from before: references into it stay valid while the
// rule appends to `graph`.
class GradientEmitter : public GradBuilder {
 public:
  GradientEmitter(Graph& graph, const Graph& forward, NodeId node, const GradientPaths& paths,
                  GradientSums& sums);

  const OpView& op() const override { return view_; }
  ValueId Input(int i) const override;
  ValueId Output(int i) const override;
  ValueId RequestOutput(int i) override;
  ValueId OutputGrad(int i) const override;
  bool WantsInputGrad(int i) const override;
  void SetInputGrad(int i, ValueId gradient) override;
  Result<ValueId> Emit(std::string_view op, std::vector<ValueId> inputs,
                       Attributes attributes) override;
  Result<std::vector<ValueId>> EmitMany(std::string_view op, std::vector<ValueId> inputs,
                                        Attributes attributes, int outputs) override;

  // After the rule: checks what it gave and passes it on.
  Status Finish();

 private:
  Graph& graph_;
  const NodeId node_;
  const GradientPaths& paths_;
  GradientSums& sums_;
  const OpView view_;
  int emitted_ = 0;
  Status request_error_;
  std::set<ValueId> unnamed_;  // Made by this rule and not yet named as a gradient.
  std::map<int, ValueId> input_gradients_;
};

}  // namespace wsi
