#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "compiler/ir/verifier.h"
#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

// Before the first step: what is there when a step begins.
constexpr int64_t kBeforeStep = -1;

// One value in a buffer: made at step `made`, last read at step `read`, which is the
// number of steps where the value outlives them. Views count as the value whose bytes
// they are.
struct Tenant {
  ValueId value;
  int64_t made = kBeforeStep;
  int64_t read = kBeforeStep;
};

class BufferVerifier {
 public:
  explicit BufferVerifier(const Graph& graph)
      : graph_(graph),
        steps_(static_cast<int64_t>(graph.order().size())),
        tenants_(static_cast<size_t>(graph.value_count())),
        root_(static_cast<size_t>(graph.value_count())) {}

  Status Run();

 private:
  void FindTenants();
  Status CheckBounds() const;
  Status CheckResidence(const Tenant& span, ValueId id) const;
  Status CheckViews() const;
  Status CheckWorkspaces() const;
  Status CheckSharing() const;
  Status CheckSuccession(const Tenant& old, const Tenant& next) const;
  Status CheckUpdates() const;
  Status CheckOverlaps() const;

  Tenant& tenant(ValueId id) { return tenants_[static_cast<size_t>(id.index)]; }
  const Tenant& tenant(ValueId id) const { return tenants_[static_cast<size_t>(id.index)]; }
  ValueId root(ValueId id) const { return root_[static_cast<size_t>(id.index)]; }
  bool IsBuffer(BufferId id) const {
    return id.valid() && id.index < static_cast<int32_t>(graph_.buffers.size());
  }
  const Buffer& buffer(BufferId id) const { return graph_.buffers[static_cast<size_t>(id.index)]; }

  const Graph& graph_;
  int64_t steps_;
  std::vector<Tenant> tenants_;  // By value, of its own reads; valid where mentioned.
  std::vector<ValueId> root_;    // By value: what it is a view of, or itself.
};

void BufferVerifier::FindTenants() {
  const auto mention = [&](ValueId id, int64_t step) {
    if (!id.valid()) return;
    Tenant& t = tenant(id);
    t.value = id;
    t.read = std::max(t.read, step);
  };
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    root_[static_cast<size_t>(i)] = ValueId{i};
    const Role role = graph_.value(ValueId{i}).role;
    if (role == Role::kInput || role == Role::kTarget) mention(ValueId{i}, kBeforeStep);
  }
  for (int64_t s = 0; s < steps_; ++s) {
    const Node& node = graph_.node(graph_.order()[static_cast<size_t>(s)]);
    for (const ValueId input : node.inputs) mention(input, s);
    for (const ValueId output : node.outputs) {
      mention(output, s);
      if (output.valid()) tenant(output).made = s;
    }
    if (FindOp(node.op)->is_view && !node.outputs.empty() && node.outputs[0].valid()) {
      root_[static_cast<size_t>(node.outputs[0].index)] = root(node.inputs[0]);
    }
  }
  for (const ValueId output : graph_.outputs) mention(output, steps_);
  mention(graph_.loss, steps_);
  std::unordered_set<int32_t> kept;  // States whose last update was seen, from the back.
  for (size_t i = graph_.updates.size(); i-- > 0;) {
    const StateUpdate& update = graph_.updates[i];
    mention(update.state, kBeforeStep);
    if (kept.insert(update.state.index).second) mention(update.value, steps_);
  }
  for (const ParameterGradient& pair : graph_.gradients) mention(pair.parameter, kBeforeStep);
}

Status BufferVerifier::CheckBounds() const {
  for (size_t i = 0; i < graph_.buffers.size(); ++i) {
    const Buffer& b = graph_.buffers[i];
    const bool is_range = b.offset >= 0 && b.size >= 0 && b.begin >= 0 && b.begin <= b.end &&
                          b.offset % kBufferAlignment == 0;
    // Subtracted, not added: the sum may overflow.
    const Bytes arena = graph_.arena_bytes[static_cast<size_t>(b.tier)];
    const bool fits = b.size <= arena && b.offset <= arena - b.size;
    if (!is_range || !fits) {
      return InvalidInput(fmt::format(
          "buffer @{}, {} bytes at {}, steps [{},{}), is out of bounds of the arena of {} bytes", i,
          b.size, b.offset, b.begin, b.end, arena));
    }
  }
  return {};
}

Status BufferVerifier::CheckResidence(const Tenant& span, ValueId id) const {
  const Value& value = graph_.value(id);
  if (!IsBuffer(value.buffer)) {
    return InvalidInput(fmt::format("%{} has no buffer", value.name));
  }
  const Buffer& b = buffer(value.buffer);
  if (b.tier != value.tier) {
    return InvalidInput(
        fmt::format("%{} lies in buffer @{} of another tier", value.name, value.buffer.index));
  }
  if (b.size < value.shape.ByteCount(value.dtype)) {
    return InvalidInput(fmt::format("%{} needs {} bytes, its buffer @{} has {}", value.name,
                                    value.shape.ByteCount(value.dtype), value.buffer.index,
                                    b.size));
  }
  const int64_t begin = std::max<int64_t>(span.made, 0);
  const int64_t end = IsPersistent(value.role) ? steps_ : std::min(span.read + 1, steps_);
  if (b.begin > begin || b.end < end) {
    return InvalidInput(
        fmt::format("%{} is needed at steps [{},{}), its buffer @{} is live at "
                    "[{},{})",
                    value.name, begin, end, value.buffer.index, b.begin, b.end));
  }
  return {};
}

Status BufferVerifier::CheckViews() const {
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    const ValueId id{i};
    if (root(id) == id || graph_.value(id).buffer == graph_.value(root(id)).buffer) continue;
    return InvalidInput(fmt::format("%{} is a view of %{}, but lies in another buffer",
                                    graph_.value(id).name, graph_.value(root(id)).name));
  }
  return {};
}

Status BufferVerifier::CheckWorkspaces() const {
  for (int64_t s = 0; s < steps_; ++s) {
    const Node& node = graph_.node(graph_.order()[static_cast<size_t>(s)]);
    if (node.workspace_bytes == 0 && !node.workspace.valid()) continue;
    if (!IsBuffer(node.workspace)) {
      return InvalidInput(fmt::format("{} '{}': its workspace has no buffer", node.op, node.name));
    }
    const Buffer& b = buffer(node.workspace);
    if (b.size < node.workspace_bytes || b.begin > s || b.end <= s) {
      return InvalidInput(
          fmt::format("{} '{}': needs {} bytes at step {}, its workspace @{} has "
                      "{} bytes at steps [{},{})",
                      node.op, node.name, node.workspace_bytes, s, node.workspace.index, b.size,
                      b.begin, b.end));
    }
  }
  return {};
}

// `next` may begin where `old` is no longer read, or at the step that reads it last if
// that operator may write next over old.
Status BufferVerifier::CheckSuccession(const Tenant& old, const Tenant& next) const {
  bool is_fine = old.read < next.made;
  if (old.read == next.made && next.made != kBeforeStep) {
    const Node& node = graph_.node(graph_.value(next.value).producer);
    const auto pairs = FindOp(node.op)->in_place;
    is_fine = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i].valid() || root(node.inputs[i]) != old.value) continue;
      is_fine = is_fine && graph_.value(node.inputs[i]).shape == graph_.value(next.value).shape;
      is_fine = is_fine && std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) {
                  return pair.second == static_cast<int>(i) &&
                         pair.first < static_cast<int>(node.outputs.size()) &&
                         node.outputs[static_cast<size_t>(pair.first)] == next.value;
                });
    }
    // Two outputs of one node, or one that nobody reads, cannot share either.
    is_fine = is_fine && old.made < next.made;
  }
  if (is_fine) return {};
  return InvalidInput(fmt::format(
      "%{} and %{} share buffer @{}, but %{} is made at step {} and %{} read until step {}",
      graph_.value(old.value).name, graph_.value(next.value).name,
      graph_.value(old.value).buffer.index, graph_.value(next.value).name, next.made,
      graph_.value(old.value).name, old.read));
}

// A state lies where its updates put its next contents, and what else shares its
// buffer would change it from step to step unnoticed.
Status BufferVerifier::CheckUpdates() const {
  std::unordered_map<int32_t, ValueId> state_of;  // By root of an update's value.
  for (const StateUpdate& update : graph_.updates) {
    state_of.emplace(root(update.value).index, update.state);
    if (graph_.value(update.state).buffer == graph_.value(update.value).buffer) continue;
    return InvalidInput(fmt::format("%{} is updated to %{}, which lies in another buffer",
                                    graph_.value(update.state).name,
                                    graph_.value(update.value).name));
  }
  std::unordered_map<int32_t, ValueId> persistent_in;  // By buffer.
  for (const Tenant& t : tenants_) {
    if (!t.value.valid() || !IsPersistent(graph_.value(t.value).role)) continue;
    persistent_in.emplace(graph_.value(t.value).buffer.index, t.value);
  }
  for (const Tenant& t : tenants_) {
    if (!t.value.valid() || root(t.value) != t.value) continue;
    const auto at = persistent_in.find(graph_.value(t.value).buffer.index);
    if (at == persistent_in.end() || at->second == t.value) continue;
    const auto state = state_of.find(t.value.index);
    if (state != state_of.end() && state->second == at->second) continue;
    return InvalidInput(fmt::format("%{} lies in the buffer of %{}, which persists",
                                    graph_.value(t.value).name, graph_.value(at->second).name));
  }
  return {};
}

Status BufferVerifier::CheckSharing() const {
  std::vector<Tenant> merged = tenants_;  // Reads of views counted for what they view.
  for (size_t i = 0; i < merged.size(); ++i) {
    const auto r = static_cast<size_t>(root_[i].index);
    if (r != i) merged[r].read = std::max(merged[r].read, tenants_[i].read);
  }
  std::vector<std::vector<Tenant>> by_buffer(graph_.buffers.size());
  for (size_t i = 0; i < merged.size(); ++i) {
    if (!merged[i].value.valid() || root_[i] != merged[i].value) continue;
    const BufferId b = graph_.value(merged[i].value).buffer;
    by_buffer[static_cast<size_t>(b.index)].push_back(merged[i]);
  }
  for (std::vector<Tenant>& sharing : by_buffer) {
    std::sort(sharing.begin(), sharing.end(), [](const Tenant& a, const Tenant& b) {
      return std::pair(a.made, a.value) < std::pair(b.made, b.value);
    });
    for (size_t i = 1; i < sharing.size(); ++i) {
      // An updated state is read by the next step too, but under its update's name.
      WSI_RETURN_IF_ERROR(CheckSuccession(sharing[i - 1], sharing[i]));
    }
  }
  return {};
}

// Sweeps over the steps with the live buffers of each tier sorted by offset: a new one
// can overlap only with its neighbours.
Status BufferVerifier::CheckOverlaps() const {
  struct Event {
    int64_t step;
    bool is_begin;  // Ends come first: lifetimes are half-open.
    size_t buffer;
    auto operator<=>(const Event&) const = default;
  };
  std::vector<Event> events;
  for (size_t i = 0; i < graph_.buffers.size(); ++i) {
    const Buffer& b = graph_.buffers[i];
    if (b.size == 0 || b.begin == b.end) continue;
    events.push_back({b.begin, true, i});
    events.push_back({b.end, false, i});
  }
  std::sort(events.begin(), events.end());
  std::map<std::pair<Tier, Bytes>, size_t> live;
  for (const Event& event : events) {
    const Buffer& b = graph_.buffers[event.buffer];
    if (!event.is_begin) {
      live.erase({b.tier, b.offset});
      continue;
    }
    const auto next = live.lower_bound({b.tier, b.offset});
    size_t other = event.buffer;
    if (next != live.end() && next->first.first == b.tier &&
        next->first.second < b.offset + b.size) {
      other = next->second;
    } else if (next != live.begin()) {
      const auto& [key, index] = *std::prev(next);
      const bool reaches =
          key.first == b.tier && key.second + graph_.buffers[index].size > b.offset;
      if (reaches) other = index;
    }
    if (other != event.buffer) {
      return InvalidInput(fmt::format("buffers @{} and @{} overlap at step {}",
                                      std::min(other, event.buffer), std::max(other, event.buffer),
                                      event.step));
    }
    live.emplace(std::pair(b.tier, b.offset), event.buffer);
  }
  return {};
}

Status BufferVerifier::Run() {
  FindTenants();
  WSI_RETURN_IF_ERROR(CheckBounds());
  for (const Tenant& t : tenants_) {
    if (t.value.valid()) WSI_RETURN_IF_ERROR(CheckResidence(t, t.value));
  }
  WSI_RETURN_IF_ERROR(CheckViews());
  WSI_RETURN_IF_ERROR(CheckWorkspaces());
  WSI_RETURN_IF_ERROR(CheckSharing());
  WSI_RETURN_IF_ERROR(CheckUpdates());
  return CheckOverlaps();
}

}  // namespace

Status VerifyBuffers(const Graph& graph) {
  if (graph.buffers.empty()) {
    for (int32_t i = 0; i < graph.value_count(); ++i) {
      if (graph.value(ValueId{i}).buffer.valid()) {
        return InvalidInput(
            fmt::format("%{} lies in a buffer, but there are none", graph.value(ValueId{i}).name));
      }
    }
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      if (!node.workspace.valid()) continue;
      return InvalidInput(fmt::format("{} '{}': its workspace lies in a buffer, but there are none",
                                      node.op, node.name));
    }
    return {};
  }
  return BufferVerifier(graph).Run();
}

}  // namespace wsi
