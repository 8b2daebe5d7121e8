#include "passes/assign.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "passes/liveness.h"
#include "passes/pass_options.h"
#include "passes/place_buffers.h"

namespace wsi {
namespace {

class Assigner {
 public:
  Assigner(Graph& graph, const Liveness& liveness, const PersistentLayout& persistents,
           const std::array<Bytes, kTierCount>& good_enough)
      : graph_(graph), liveness_(liveness), persistents_(persistents), good_enough_(good_enough) {}

  Status Run();

 private:
  void Clear();
  Status AddPersistents();
  void AddClasses();
  void AddWorkspaces();
  Status Place(Tier tier);

  BufferId Add(Tier tier, Bytes offset, Bytes size, LiveRange live) {
    graph_.buffers.push_back({tier, offset, size, live.begin, live.end});
    return {static_cast<int32_t>(graph_.buffers.size()) - 1};
  }
  void SetBuffer(const StorageClass& storage, BufferId buffer) {
    for (const ValueId member : storage.members) graph_.value(member).buffer = buffer;
  }

  Graph& graph_;
  const Liveness& liveness_;
  const PersistentLayout& persistents_;
  const std::array<Bytes, kTierCount>& good_enough_;
  size_t first_placed_ = 0;  // The first buffer that does not persist.
};

void Assigner::Clear() {
  graph_.buffers.clear();
  for (int32_t i = 0; i < graph_.value_count(); ++i) graph_.value(ValueId{i}).buffer = {};
  for (int32_t i = 0; i < graph_.node_count(); ++i) {
    graph_.node(NodeId{i}).workspace = {};
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
    if (place == persistents_.places.end() || place->second.size != storage->size ||
        place->second.tier != storage->tier) {
      return InternalError(fmt::format("%{} has no place among the persistent values", name));
    }
    SetBuffer(*storage, Add(storage->tier, place->second.offset, storage->size, storage->live));
  }
  first_placed_ = graph_.buffers.size();
  return {};
}

void Assigner::AddClasses() {
  for (const StorageClass& storage : liveness_.classes) {
    if (storage.persistent.valid()) continue;
    SetBuffer(storage, Add(storage.tier, 0, storage.size, storage.live));
  }
}

void Assigner::AddWorkspaces() {
  for (size_t s = 0; s < graph_.order().size(); ++s) {
    const NodeId id = graph_.order()[s];
    const Bytes bytes = graph_.node(id).workspace_bytes;
    if (bytes == 0) continue;
    const auto step = static_cast<int64_t>(s);
    graph_.node(id).workspace = Add(Tier::kDevice, 0, bytes, {step, step + 1});
  }
}

Status Assigner::Place(Tier tier) {
  const Bytes alignment = TierAlignment(tier);
  const Bytes persistent = persistents_.bytes[static_cast<size_t>(tier)];
  std::vector<SizedRange> items;
  std::vector<size_t> placed;  // Their buffers.
  Bytes sum = persistent;
  for (size_t i = first_placed_; i < graph_.buffers.size(); ++i) {
    const Buffer& buffer = graph_.buffers[i];
    if (buffer.tier != tier) continue;
    placed.push_back(i);
    items.push_back({buffer.size, {buffer.begin, buffer.end}});
    // Bounds every offset that placing may try; with room for the alignment.
    WSI_ASSIGN_OR_RETURN(sum, CheckedAdd(sum, buffer.size));
    WSI_ASSIGN_OR_RETURN(sum, CheckedAdd(sum, alignment));
  }
  const Bytes enough = good_enough_[static_cast<size_t>(tier)] - persistent;
  const Placement placement =
      PlaceBuffers(items, {.alignment = alignment, .good_enough = std::max<Bytes>(enough, 0)});
  for (size_t i = 0; i < items.size(); ++i) {
    graph_.buffers[placed[i]].offset = persistent + placement.offsets[i];
  }
  graph_.arena_bytes[static_cast<size_t>(tier)] = persistent + placement.height;
  return {};
}

Status Assigner::Run() {
  Clear();
  WSI_RETURN_IF_ERROR(AddPersistents());
  AddClasses();
  AddWorkspaces();
  for (const Tier tier : {Tier::kDevice, Tier::kHost, Tier::kFile}) {
    WSI_RETURN_IF_ERROR(Place(tier));
  }
  return {};
}

constexpr std::array<std::string_view, kTierCount> kTierNames = {"device", "host", "file"};

// Which step needs the most, for a message.
Status OverBudget(const Graph& graph, const Liveness& liveness, Tier tier, Bytes budget) {
  const std::vector<Bytes> live = LiveBytesByStep(graph, liveness, tier);
  const auto peak = std::max_element(live.begin(), live.end()) - live.begin();
  const std::string where =
      graph.order().empty()
          ? "no step"
          : fmt::format("step {} ({})", peak,
                        graph.node(graph.order()[static_cast<size_t>(peak)]).name);
  const Bytes needed = graph.arena_bytes[static_cast<size_t>(tier)];
  const std::string_view name = kTierNames[static_cast<size_t>(tier)];
  return ResourceError(
      fmt::format("does not fit: the {} arena needs {}, most of it at {}, limit {}; try a smaller "
                  "--input-size or --{}-mem {}B",
                  name, FormatBytes(needed), where, FormatBytes(budget), name, needed));
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
      if (!is_new && at->second.tier != value.tier) {
        return InternalError(
            fmt::format("%{} lies in another tier in another program", value.name));
      }
      at->second.size = size;
      at->second.tier = value.tier;
    }
  }
  for (auto& [name, place] : layout.places) {
    Bytes& bytes = layout.bytes[static_cast<size_t>(place.tier)];
    place.offset = bytes;
    WSI_ASSIGN_OR_RETURN(const Bytes end, CheckedAdd(bytes, place.size));
    WSI_RETURN_IF_ERROR(CheckedAdd(end, TierAlignment(place.tier)).status());
    bytes = AlignUp(end, TierAlignment(place.tier));
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
  WSI_RETURN_IF_ERROR(Assigner(graph, liveness, persistents, options.good_enough).Run());
  for (const Tier tier : {Tier::kDevice, Tier::kHost, Tier::kFile}) {
    const Bytes budget = options.budgets[static_cast<size_t>(tier)];
    const Bytes needed = graph.arena_bytes[static_cast<size_t>(tier)];
    if (budget > 0 && needed > budget) return OverBudget(graph, liveness, tier, budget);
  }
  return HashGraph(graph) != before;
}

Result<PassFunction> MakeAssignPass(const Attributes& options) {
  PassOptions given(options);
  AssignOptions parsed;
  for (size_t tier = 0; tier < kTierCount; ++tier) {
    parsed.budgets[tier] = given.Size(fmt::format("{}_budget", kTierNames[tier]), 0);
  }
  WSI_RETURN_IF_ERROR(given.Finish());
  return PassFunction([parsed](Graph& graph, PassContext& context) {
    return AssignBuffers(graph, parsed, context);
  });
}

}  // namespace wsi
