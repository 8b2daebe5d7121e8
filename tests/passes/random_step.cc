#include "tests/passes/random_step.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

class Maker {
 public:
  Maker(uint64_t seed, TensorStore* tensors) : random_(seed), graph_(tensors) {}

  Graph Make(int nodes) {
    width_ = 1 + Below(300);
    values_.push_back(Declare("x", Role::kInput));
    const int states = static_cast<int>(Below(6));
    for (int i = 0; i < states; ++i) {
      states_.push_back(Declare("state" + std::to_string(i), Role::kState));
      values_.push_back(states_.back());
    }
    for (int i = 0; i < 3; ++i) {
      values_.push_back(Declare("w" + std::to_string(i), Role::kParameter));
    }
    const ValueId lr = Scalar();
    for (int i = 0; i < nodes; ++i)
      AddRandomNode(i < nodes / 2 ? Phase::kForward : Phase::kBackward);
    graph_.outputs.push_back(Fresh());
    AddUpdates(lr);
    graph_.Compact();
    return std::move(graph_);
  }

 private:
  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  ValueId Any() {  // Recent values more often.
    const auto count = static_cast<int64_t>(values_.size());
    const int64_t back = std::min(Below(count), Below(count));
    return values_[static_cast<size_t>(count - 1 - back)];
  }
  ValueId Declare(std::string name, Role role) {
    Value value;
    value.name = std::move(name);
    value.role = role;
    value.shape = Shape::Make(std::vector<int64_t>{1, width_}).value();
    return graph_.AddValue(std::move(value));
  }
  ValueId Scalar() {
    Value value;
    value.name = "lr";
    value.role = Role::kScalar;
    return graph_.AddValue(std::move(value));
  }
  ValueId Emit(std::string op, std::vector<ValueId> inputs, Attributes attributes, Phase phase) {
    Node node;
    node.name = op + std::to_string(graph_.node_count());
    node.op = std::move(op);
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    node.phase = phase;
    const std::string name = "v" + std::to_string(graph_.node_count());
    const NodeId id = graph_.AddNode(std::move(node), std::span(&name, 1));
    WSI_CHECK(InferTypes(graph_, id).ok());
    return graph_.node(id).outputs[0];
  }
  void AddRandomNode(Phase phase) {
    const ValueId a = Any();
    ValueId made;
    switch (Below(6)) {
      case 0: made = Emit("Relu", {a}, {}, phase); break;
      case 1: made = Emit("Add", {a, Any()}, {}, phase); break;
      case 2: made = Emit("Mul", {a, a}, {}, phase); break;
      case 3:
        made = Emit("Reshape", {a}, {{"shape", std::vector<int64_t>{1, width_}}}, phase);
        break;
      case 4:
        made = Emit("Concat", {a, Any()}, {{"axis", int64_t{0}}}, phase);
        made = Emit("Slice", {made},
                    {{"axes", std::vector<int64_t>{0}},
                     {"starts", std::vector<int64_t>{1}},
                     {"ends", std::vector<int64_t>{2}},
                     {"steps", std::vector<int64_t>{1}}},
                    phase);
        break;
      default: made = Emit("Neg", {a}, {}, phase); break;
    }
    values_.push_back(made);
  }
  // Behind everything that reads the old contents, as the optimizer pass has it.
  void AddUpdates(ValueId lr) {
    for (const ValueId state : states_) {
      ValueId next;
      if (Below(2) == 0) {
        next = Emit("MovingAverage", {state, Gradient()}, {{"momentum", 0.9}}, Phase::kUpdate);
      } else {
        next = Emit("SgdUpdate", {state, Gradient(), lr}, {{"weight_decay", 0.0}}, Phase::kUpdate);
      }
      graph_.updates.push_back({state, next});
    }
  }
  // Often a mean over the ranks, on which updates wait.
  ValueId Gradient() {
    const ValueId own = Fresh();
    return Below(3) == 0 ? own : Emit("AllReduce", {own}, {}, Phase::kUpdate);
  }
  // Something that no update overwrites: it is read behind some of them, or at the end.
  ValueId Fresh() {
    for (;;) {
      const ValueId id = Any();
      if (graph_.value(id).role == Role::kIntermediate && !IsViewOfState(id)) return id;
      values_.push_back(Emit("Neg", {values_[0]}, {}, Phase::kBackward));
    }
  }
  bool IsViewOfState(ValueId id) const {
    while (graph_.value(id).producer.valid()) {
      const Node& node = graph_.node(graph_.value(id).producer);
      if (node.op != "Reshape") return false;
      id = node.inputs[0];
    }
    return graph_.value(id).role == Role::kState;
  }

  std::mt19937_64 random_;
  Graph graph_;
  int64_t width_ = 1;
  std::vector<ValueId> values_;
  std::vector<ValueId> states_;
};

}  // namespace

Graph MakeRandomStep(uint64_t seed, int nodes, TensorStore* tensors) {
  return Maker(seed, tensors).Make(nodes);
}

}  // namespace wsi
