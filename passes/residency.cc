#include "passes/residency.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/pass_options.h"
#include "passes/residency_model.h"
#include "passes/residency_rewrite.h"
#include "passes/residency_search.h"
#include "runtime/timing/rates.h"

namespace wsi {
namespace {

// By value: the state whose contents it is, or was before it is replaced; else what it is a view
// of, or itself.
std::vector<int32_t> ContentsOf(const Graph& graph) {
  std::vector<int32_t> root(static_cast<size_t>(graph.value_count()));
  for (size_t i = 0; i < root.size(); ++i) root[i] = static_cast<int32_t>(i);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!FindOp(node.op)->is_view || !node.outputs[0].valid()) continue;
    root[static_cast<size_t>(node.outputs[0].index)] =
        root[static_cast<size_t>(node.inputs[0].index)];
  }
  std::vector<int32_t> state = root;
  for (const StateUpdate& update : graph.updates) {
    state[static_cast<size_t>(root[static_cast<size_t>(update.value.index)])] = update.state.index;
  }
  for (int32_t& r : root) r = state[static_cast<size_t>(r)];
  return root;
}

// Moves updates of small states to the end of the step. Their gradients take next to
// nothing, and what was computed from the old contents can be computed again until then.
// What replaces contents that a delayed one reads goes with it.
void DelaySmallUpdates(Graph& graph, Bytes smallest) {
  std::vector<NodeId> order;
  std::vector<NodeId> delayed;
  std::vector<bool> is_delayed(static_cast<size_t>(graph.value_count()), false);
  const std::vector<int32_t> contents = ContentsOf(graph);
  std::vector<bool> is_read_late(contents.size(), false);  // By contents.
  const auto contents_of = [&](ValueId value) {
    return static_cast<size_t>(contents[static_cast<size_t>(value.index)]);
  };
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const bool is_update = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v.valid() &&
             IsPersistent(graph.value(ValueId{static_cast<int32_t>(contents_of(v))}).role);
    });
    bool is_small = node.phase == Phase::kUpdate && is_update;
    bool must_wait = false;  // It reads what a delayed one makes.
    for (const std::vector<ValueId>* list : {&node.inputs, &node.outputs}) {
      for (const ValueId value : *list) {
        if (!value.valid()) continue;
        const Value& v = graph.value(value);
        is_small = is_small && v.shape.ByteCount(v.dtype) < smallest;
        must_wait = must_wait || is_delayed[static_cast<size_t>(value.index)];
      }
    }
    for (const ValueId output : node.outputs) {
      must_wait |= output.valid() && is_read_late[contents_of(output)];
    }
    if (!is_small && !must_wait) {
      order.push_back(id);
      continue;
    }
    delayed.push_back(id);
    for (const ValueId input : node.inputs) {
      if (input.valid()) is_read_late[contents_of(input)] = true;
    }
    for (const ValueId output : node.outputs) {
      if (output.valid()) is_delayed[static_cast<size_t>(output.index)] = true;
    }
  }
  order.insert(order.end(), delayed.begin(), delayed.end());
  graph.SetOrder(std::move(order));
}

// The operator whose own operands take the most room.
std::string LargestOp(const Graph& graph, const ResidencyModel& model) {
  Bytes most = -1;
  NodeId largest;
  for (const ModelOp& op : model.ops) {
    Bytes bytes = op.workspace;
    for (const int m : op.reads) bytes += model.memories[static_cast<size_t>(m)].size;
    for (const int m : op.writes) bytes += model.memories[static_cast<size_t>(m)].size;
    if (bytes <= most) continue;
    most = bytes;
    largest = op.node;
  }
  if (!largest.valid()) return "nothing";
  const Node& node = graph.node(largest);
  return fmt::format("{} '{}', whose operands take {}", node.op, node.name, FormatBytes(most));
}

Status DoesNotFit(const Graph& graph, const ResidencyModel& model, const ResidencyAnswer& answer,
                  const ResidencyOptions& options) {
  const bool host_is_short = answer.smallest_device < 0 || answer.smallest_host >= 0;
  if (options.host_budget > 0 && host_is_short) {
    const Bytes host = std::max(answer.smallest_host, model.homed_bytes);
    return ResourceError(fmt::format(
        "does not fit: what leaves the device needs {} on the host, limit {}; try --host-mem {}B",
        FormatBytes(host), FormatBytes(options.host_budget), host));
  }
  return ResourceError(fmt::format(
      "does not fit: the device needs {} at least, limit {}; what persists there takes {}, and "
      "the largest operator is {}",
      FormatBytes(answer.smallest_device), FormatBytes(options.device_budget),
      FormatBytes(model.fixed_bytes), LargestOp(graph, model)));
}

}  // namespace

Result<bool> PlanResidency(Graph& graph, const ResidencyOptions& options, PassContext&) {
  if (options.device_budget == 0 && options.homed.empty()) return false;
  const uint64_t before = HashGraph(graph);
  const Bytes smallest =
      options.smallest > 0 ? options.smallest : SmallestMoved(options.device_budget);
  DelaySmallUpdates(graph, smallest);
  WSI_ASSIGN_OR_RETURN(
      const ResidencyModel model,
      BuildResidencyModel(graph, options.rates, {.smallest = smallest, .homed = options.homed}));
  const ResidencyGoal goal = {.device_budget = options.device_budget,
                              .host_budget = options.host_budget,
                              .may_recompute = options.recompute,
                              .may_offload = options.offload,
                              .copies = options.copies,
                              .first_fit = options.first_fit,
                              .start = options.memory};
  const ResidencyAnswer answer = SearchResidency(model, goal);
  if (!answer.cost.is_possible) return DoesNotFit(graph, model, answer, options);
  if (options.memory != nullptr) *options.memory = answer.choices;
  ResidencyScheduler scheduler(model);
  WSI_RETURN_IF_ERROR(WriteResidency(graph, model, scheduler.Build(answer.choices)));
  graph.Compact();
  return HashGraph(graph) != before;
}

Result<PassFunction> MakeResidencyPass(const Attributes& options) {
  PassOptions given(options);
  ResidencyOptions parsed;
  parsed.device_budget = given.Size("device_budget", 0);
  parsed.host_budget = given.Size("host_budget", 0);
  parsed.smallest = given.Size("smallest", parsed.smallest);
  parsed.recompute = given.Bool("recompute", true);
  parsed.offload = given.Bool("offload", true);
  const bool home = given.Bool("home", false);
  parsed.copies = given.Choice<CopyMode>(
      "copies", {{"demand", CopyMode::kDemand}, {"timed", CopyMode::kTimed}}, CopyMode::kTimed);
  const std::string rates = given.String("rates", "cpu");
  WSI_RETURN_IF_ERROR(given.Finish());
  WSI_ASSIGN_OR_RETURN(parsed.rates, BuiltInRates(rates));
  return PassFunction([parsed, home](Graph& graph, PassContext& context) {
    ResidencyOptions bound = parsed;
    if (home) {
      const Bytes smallest =
          parsed.smallest > 0 ? parsed.smallest : SmallestMoved(parsed.device_budget);
      bound.homed = HomeableValues(graph, smallest);
    }
    return PlanResidency(graph, bound, context);
  });
}

}  // namespace wsi
