// Equality and hash of graphs. Both look at what a graph means and what passes have
// noted on it; ids are followed, so they compare by position.
#include <bit>

#include "compiler/ir/graph.h"

namespace wsi {
namespace {

bool SameValue(const Value& a, const Value& b) {
  return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.role == b.role &&
         a.tier == b.tier && a.producer == b.producer && a.tensor == b.tensor &&
         a.permutation == b.permutation && a.buffer == b.buffer;
}

bool SameNode(const Node& a, const Node& b) {
  return a.name == b.name && a.op == b.op && a.attributes == b.attributes && a.inputs == b.inputs &&
         a.outputs == b.outputs && a.phase == b.phase && a.workspace_bytes == b.workspace_bytes &&
         a.workspace == b.workspace;
}

// Mixes words into one, by multiplication and xor-shift (the finaliser of splitmix64).
class GraphHasher {
 public:
  void Add(uint64_t word) {
    state_ = (state_ ^ word) + 0x9E3779B97F4A7C15ULL;
    state_ = (state_ ^ (state_ >> 30)) * 0xBF58476D1CE4E5B9ULL;
    state_ = (state_ ^ (state_ >> 27)) * 0x94D049BB133111EBULL;
    state_ ^= state_ >> 31;
  }
  void AddInt(int64_t value) { Add(static_cast<uint64_t>(value)); }
  void Add(std::string_view text) {
    AddInt(static_cast<int64_t>(text.size()));
    for (const char c : text) Add(static_cast<uint64_t>(static_cast<unsigned char>(c)));
  }
  void Add(std::span<const int64_t> values) {
    AddInt(static_cast<int64_t>(values.size()));
    for (const int64_t value : values) AddInt(value);
  }
  void Add(double value) { Add(std::bit_cast<uint64_t>(value)); }
  uint64_t state() const { return state_; }

 private:
  uint64_t state_ = 0;
};

void AddAttribute(GraphHasher& hasher, const Attributes::Entry& entry) {
  hasher.Add(entry.first);
  hasher.AddInt(static_cast<int64_t>(entry.second.index()));
  if (const auto* i = std::get_if<int64_t>(&entry.second)) hasher.AddInt(*i);
  if (const auto* f = std::get_if<double>(&entry.second)) hasher.Add(*f);
  if (const auto* s = std::get_if<std::string>(&entry.second)) hasher.Add(*s);
  if (const auto* v = std::get_if<std::vector<int64_t>>(&entry.second)) hasher.Add(*v);
  if (const auto* v = std::get_if<std::vector<double>>(&entry.second)) {
    hasher.AddInt(static_cast<int64_t>(v->size()));
    for (const double value : *v) hasher.Add(value);
  }
}

void AddValue(GraphHasher& hasher, const Value& value) {
  hasher.Add(value.name);
  hasher.AddInt(static_cast<int64_t>(value.dtype));
  hasher.Add(value.shape.sizes());
  hasher.AddInt(static_cast<int64_t>(value.role));
  hasher.AddInt(static_cast<int64_t>(value.tier));
  hasher.AddInt(value.producer.index);
  hasher.Add(value.tensor);
  hasher.Add(value.permutation);
  hasher.AddInt(value.buffer.index);
}

void AddNode(GraphHasher& hasher, const Node& node) {
  hasher.Add(node.name);
  hasher.Add(node.op);
  for (const Attributes::Entry& entry : node.attributes.entries()) AddAttribute(hasher, entry);
  hasher.AddInt(static_cast<int64_t>(node.inputs.size()));
  for (const ValueId id : node.inputs) hasher.AddInt(id.index);
  hasher.AddInt(static_cast<int64_t>(node.outputs.size()));
  for (const ValueId id : node.outputs) hasher.AddInt(id.index);
  hasher.AddInt(static_cast<int64_t>(node.phase));
  hasher.AddInt(node.workspace_bytes);
  hasher.AddInt(node.workspace.index);
}

}  // namespace

bool operator==(const Graph& a, const Graph& b) {
  if (a.name != b.name || a.outputs != b.outputs || a.loss != b.loss || a.updates != b.updates ||
      a.gradients != b.gradients || a.buffers != b.buffers || a.arena_bytes != b.arena_bytes ||
      a.order() != b.order() || a.value_count() != b.value_count()) {
    return false;
  }
  for (int32_t i = 0; i < a.value_count(); ++i) {
    if (!SameValue(a.value(ValueId{i}), b.value(ValueId{i}))) return false;
  }
  for (const NodeId id : a.order()) {
    if (!SameNode(a.node(id), b.node(id))) return false;
  }
  return true;
}

uint64_t HashGraph(const Graph& graph) {
  GraphHasher hasher;
  hasher.Add(graph.name);
  for (int32_t i = 0; i < graph.value_count(); ++i) AddValue(hasher, graph.value(ValueId{i}));
  for (const NodeId id : graph.order()) {
    hasher.AddInt(id.index);
    AddNode(hasher, graph.node(id));
  }
  for (const ValueId id : graph.outputs) hasher.AddInt(id.index);
  hasher.AddInt(graph.loss.index);
  for (const StateUpdate& update : graph.updates) {
    hasher.AddInt(update.state.index);
    hasher.AddInt(update.value.index);
  }
  for (const ParameterGradient& pair : graph.gradients) {
    hasher.AddInt(pair.parameter.index);
    hasher.AddInt(pair.gradient.index);
  }
  for (const Buffer& buffer : graph.buffers) {
    hasher.AddInt(static_cast<int64_t>(buffer.tier));
    hasher.AddInt(buffer.offset);
    hasher.AddInt(buffer.size);
    hasher.AddInt(buffer.begin);
    hasher.AddInt(buffer.end);
  }
  for (const Bytes bytes : graph.arena_bytes) hasher.AddInt(bytes);
  return hasher.state();
}

}  // namespace wsi
