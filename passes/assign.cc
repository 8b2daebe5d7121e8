#include "passes/assign.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "passes/liveness.h"
#include "passes/place_buffers.h"

namespace wsi {
namespace {

class Assigner {
 public:
  Assigner(Graph& graph, const Liveness& liveness, const PersistentLayout& persistents)
      : graph_(graph), liveness_(liveness), persistents_(persistents) {}

  Status Run();

 private:
  void Clear();
  Status AddPersistents();
  void AddClasses();
  void AddWorkspaces();
  Status Place();

  BufferId Add(Bytes offset, Bytes size, LiveRange live) {
    graph_.buffers.push_back({Tier::kDevice, offset, size, live.begin, live.end});
    return {static_cast<int32_t>(graph_.buffers.size()) - 1};
  }
  void SetBuffer(const StorageClass& storage, BufferId buffer) {
    for (const ValueId member : storage.members) graph_.value(member).buffer = buffer;
  }

  Graph& graph_;
  const Liveness& liveness_;
  const PersistentLayout& persistents_;
  size_t first_placed_ = 0;  // The first buffer that does not persist.
};

void Assigner::Clear() {
  graph_.buffers.clear();
  for (int32_t i = 0; i < graph_.value_count(); ++i) graph_.value(ValueId{i}).buffer = {};
  for (int32_t i = 0; i < graph_.node_count(); ++i) {
    graph_.node(NodeId{i}).workspace = {};
    graph_.node(NodeId{i}).workspace_bytes = 0;
  }
}

Status Assigner::AddPersistents() {
  std::map<std::string_view, const StorageClass*> by_name;
  for (const StorageClass& storage : liveness_.classes) {
    if (storage.persistent.valid()) {
      by_name.emplace(graph_.value(storage.persistent).name, &storage);
    }
  }
  for (const auto& [name, storage] : by_name) {
    const auto place = persistents_.places.find(name);
    if (place == persistents_.places.end() || place->second.size != storage->size) {
      return InternalError(fmt::format("%{} has no place among the persistent values", name));
    }
    SetBuffer(*storage, Add(place->second.offset, storage->size, storage->live));
  }
  first_placed_ = graph_.buffers.size();
  return {};
}

void Assigner::AddClasses() {
  for (const StorageClass& storage : liveness_.classes) {
    if (storage.persistent.valid()) continue;
    SetBuffer(storage, Add(0, storage.size, storage.live));
  }
}

void Assigner::AddWorkspaces() {
  for (size_t s = 0; s < graph_.order().size(); ++s) {
    const NodeId id = graph_.order()[s];
    const Bytes bytes = WorkspaceBytes(graph_, id);
    if (bytes == 0) continue;
    const auto step = static_cast<int64_t>(s);
    graph_.node(id).workspace_bytes = bytes;
    graph_.node(id).workspace = Add(0, bytes, {step, step + 1});
  }
}

Status Assigner::Place() {
  std::vector<SizedRange> items;
  Bytes sum = persistents_.bytes;
  for (size_t i = first_placed_; i < graph_.buffers.size(); ++i) {
    const Buffer& buffer = graph_.buffers[i];
    items.push_back({buffer.size, {buffer.begin, buffer.end}});
    // Bounds every offset that placing may try; with room for the alignment.
    WSI_ASSIGN_OR_RETURN(sum, CheckedAdd(sum, buffer.size));
    WSI_ASSIGN_OR_RETURN(sum, CheckedAdd(sum, kBufferAlignment));
  }
  const Placement placement = PlaceBuffers(items);
  for (size_t i = 0; i < items.size(); ++i) {
    graph_.buffers[first_placed_ + i].offset = persistents_.bytes + placement.offsets[i];
  }
  graph_.device_bytes = persistents_.bytes + placement.height;
  return {};
}

Status Assigner::Run() {
  Clear();
  WSI_RETURN_IF_ERROR(AddPersistents());
  AddClasses();
  AddWorkspaces();
  return Place();
}

// Which step needs the most, for a message.
Status OverBudget(const Graph& graph, const Liveness& liveness, Bytes budget) {
  const std::vector<Bytes> live = LiveBytesByStep(graph, liveness);
  const auto peak = std::max_element(live.begin(), live.end()) - live.begin();
  const std::string where =
      graph.order().empty()
          ? "no step"
          : fmt::format("step {} ({})", peak,
                        graph.node(graph.order()[static_cast<size_t>(peak)]).name);
  return ResourceError(fmt::format(
      "does not fit: the device arena needs {}, most of it at {}, limit {}; try a smaller "
      "--input-size or --device-mem {}B",
      FormatBytes(graph.device_bytes), where, FormatBytes(budget), graph.device_bytes));
}

}  // namespace

Result<PersistentLayout> LayOutPersistents(std::span<const Graph* const> graphs) {
  PersistentLayout layout;
  for (const Graph* graph : graphs) {
    for (int32_t i = 0; i < graph->value_count(); ++i) {
      const Value& value = graph->value(ValueId{i});
      if (!IsPersistent(value.role)) continue;
      const Bytes size = value.shape.ByteCount(value.dtype);
      const auto [at, is_new] = layout.places.try_emplace(value.name);
      if (!is_new && at->second.size != size) {
        return InternalError(fmt::format("%{} has {} bytes in one program, {} in another",
                                         value.name, at->second.size, size));
      }
      at->second.size = size;
    }
  }
  for (auto& [name, place] : layout.places) {
    place.offset = layout.bytes;
    WSI_ASSIGN_OR_RETURN(const Bytes end, CheckedAdd(layout.bytes, place.size));
    WSI_RETURN_IF_ERROR(CheckedAdd(end, kBufferAlignment).status());
    layout.bytes = AlignUp(end, kBufferAlignment);
  }
  return layout;
}

Result<bool> AssignBuffers(Graph& graph, const AssignOptions& options, PassContext&) {
  const uint64_t before = HashGraph(graph);
  WSI_ASSIGN_OR_RETURN(const Liveness liveness, ComputeLiveness(graph));
  PersistentLayout own;
  if (!options.persistents) {
    const Graph* graphs[] = {&graph};
    WSI_ASSIGN_OR_RETURN(own, LayOutPersistents(graphs));
  }
  const PersistentLayout& persistents = options.persistents ? *options.persistents : own;
  WSI_RETURN_IF_ERROR(Assigner(graph, liveness, persistents).Run());
  if (options.device_budget > 0 && graph.device_bytes > options.device_budget) {
    return OverBudget(graph, liveness, options.device_budget);
  }
  return HashGraph(graph) != before;
}

Result<PassFunction> MakeAssignPass(const Attributes& options) {
  AssignOptions parsed;
  for (const auto& [name, value] : options.entries()) {
    const auto* number = std::get_if<int64_t>(&value);
    if (name != "device_budget" || number == nullptr || *number < 0) {
      return UsageError(
          fmt::format("option '{}'; there is device_budget=BYTES, an integer from 0", name));
    }
    parsed.device_budget = *number;
  }
  return PassFunction([parsed](Graph& graph, PassContext& context) {
    return AssignBuffers(graph, parsed, context);
  });
}

}  // namespace wsi
