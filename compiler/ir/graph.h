// The graph: one training or inference step as operators on statically shaped
// values, in execution order.
//
// Everything lives in vectors and is named by typed index. Values are SSA: each
// is produced once, or is there before the step (its Role says why). What a step
// leaves behind for the next one is written as an update: "the state becomes this
// value". An operator never writes into an operand; that two values may share
// memory is decided by the assign pass.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/tensor.h"

namespace wsi {

struct ValueId {
  int32_t index = -1;
  bool valid() const { return index >= 0; }
  auto operator<=>(const ValueId&) const = default;
};
struct NodeId {
  int32_t index = -1;
  bool valid() const { return index >= 0; }
  auto operator<=>(const NodeId&) const = default;
};
struct BufferId {
  int32_t index = -1;
  bool valid() const { return index >= 0; }
  auto operator<=>(const BufferId&) const = default;
};

enum class Phase : uint8_t { kForward, kBackward, kUpdate };
enum class Tier : uint8_t { kDevice, kHost, kFile };
inline constexpr int kTierCount = 3;

// Where a value comes from.
enum class Role : uint8_t {
  kIntermediate,  // a node's output
  kInput,         // a model input, written before every step
  kTarget,        // the label, written before every step
  kScalar,        // a number that changes per step: learning rate, step, seed
  kParameter,     // trainable; persists from step to step
  kState,         // persists but is not trained: running statistics, moments
  kConstant,      // never changes
};
constexpr bool IsPersistent(Role role) {
  return role == Role::kParameter || role == Role::kState || role == Role::kConstant;
}

struct Value {
  std::string name;  // Unique in its graph.
  DType dtype = DType::kF32;
  Shape shape;
  Role role = Role::kIntermediate;
  Tier tier = Tier::kDevice;  // Where it lies. Operators but Copy take device values only.
  NodeId producer;            // Valid exactly where role is kIntermediate.

  // Of persistent values: the key of the initial contents in the TensorStore; none
  // means zeros. Axis i of the value is axis permutation[i] of that tensor; none
  // means the same axes. The tensor itself keeps ONNX's layout and type.
  std::string tensor;
  std::vector<int64_t> permutation;

  BufferId buffer;  // Set by the assign pass.
};

struct Node {
  std::string name;  // ONNX node name or derived from one; for people.
  std::string op;    // A name in the operator table.
  Attributes attributes;
  std::vector<ValueId> inputs;   // Invalid: an optional input that is absent.
  std::vector<ValueId> outputs;  // Invalid: an optional output nobody asked for.
  Phase phase = Phase::kForward;
  Bytes workspace_bytes = 0;  // Beside its operands; set by the workspace pass.
  BufferId workspace;         // Set by the assign pass.
};

// A run of bytes in one tier's arena, live at every step s of the schedule with
// begin <= s < end. Step s is the s-th node in order().
struct Buffer {
  Tier tier = Tier::kDevice;
  Bytes offset = 0;
  Bytes size = 0;
  int64_t begin = 0;
  int64_t end = 0;
  auto operator<=>(const Buffer&) const = default;
};

// After the step, `state` holds `value`.
struct StateUpdate {
  ValueId state;
  ValueId value;
  auto operator<=>(const StateUpdate&) const = default;
};
// The loss's gradient with respect to `parameter`.
struct ParameterGradient {
  ValueId parameter;
  ValueId gradient;
  auto operator<=>(const ParameterGradient&) const = default;
};

// Initial contents of persistent values, by key: ONNX initializers under their own
// names, folded constants under those of their values. Shared by all graphs of one
// compilation and outlives them.
class TensorStore {
 public:
  // REQUIRES: `key` is new.
  const Tensor& Add(std::string key, Tensor tensor);
  const Tensor* Find(std::string_view key) const;  // Null if there is none.
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }

 private:
  std::map<std::string, Tensor, std::less<>> tensors_;
};

class Graph {
 public:
  // `tensors` outlives the graph.
  explicit Graph(TensorStore* tensors) : tensors_(tensors) {}

  std::string name;
  std::vector<ValueId> outputs;  // The model's outputs, in its order.
  ValueId loss;                  // A scalar, once the loss pass has run.
  std::vector<StateUpdate> updates;
  std::vector<ParameterGradient> gradients;
  std::vector<Buffer> buffers;                  // Filled by the assign pass.
  std::array<Bytes, kTierCount> arena_bytes{};  // By tier: the arenas' sizes, by the assign pass.

  // Adds a value; a name already taken gets ".1", ".2", ... behind it.
  ValueId AddValue(Value value);
  // Adds a node behind all others together with one fresh value per entry of
  // `output_names` (an empty name: an output not asked for). Their types are set by
  // InferTypes (compiler/ops/op_def.h).
  NodeId AddNode(Node node, std::span<const std::string> output_names);
  // Adds a fresh value as output `index` of `node`, which had none there.
  ValueId AddOutput(NodeId node, int index, std::string name);

  Bytes device_bytes() const { return arena_bytes[static_cast<size_t>(Tier::kDevice)]; }

  Value& value(ValueId id);
  const Value& value(ValueId id) const;
  Node& node(NodeId id);
  const Node& node(NodeId id) const;
  int32_t value_count() const { return static_cast<int32_t>(values_.size()); }
  int32_t node_count() const { return static_cast<int32_t>(nodes_.size()); }
  ValueId FindValue(std::string_view value_name) const;  // Invalid if there is none.
  void RenameValue(ValueId id, std::string new_name);    // As AddValue where taken.

  // The live nodes in execution order. A node left out is dead; Compact forgets it.
  const std::vector<NodeId>& order() const { return order_; }
  void SetOrder(std::vector<NodeId> order) { order_ = std::move(order); }
  // Every use of `from`, by nodes, outputs, updates, gradients and loss, becomes `to`.
  void ReplaceUses(ValueId from, ValueId to);
  // Drops nodes outside order() and values that nothing names any more (model inputs
  // and targets stay), and renumbers: values by first mention, nodes by order.
  void Compact();

  // The compile-time contents of a constant, or null. A permuted one has none.
  const Tensor* ConstantTensor(ValueId id) const;
  // A kConstant holding `tensor`.
  ValueId AddConstant(std::string_view base_name, Tensor tensor);
  TensorStore& tensors() const { return *tensors_; }

 private:
  std::string UniqueName(std::string base) const;

  TensorStore* tensors_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<NodeId> order_;
  std::unordered_map<std::string, int32_t> value_by_name_;
};

// Who reads each value: uses[v] lists (node, input position), in order().
struct Use {
  NodeId node;
  int input = 0;
  auto operator<=>(const Use&) const = default;
};
std::vector<std::vector<Use>> ComputeUses(const Graph& graph);

// Structure and annotations; not the TensorStore's contents.
bool operator==(const Graph& a, const Graph& b);
// A hash with the same notion of equality.
uint64_t HashGraph(const Graph& graph);

}  // namespace wsi
