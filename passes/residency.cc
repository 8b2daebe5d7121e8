#include "passes/residency.h"

#include <fmt/format.h>

#include <utility>

#include "passes/pass_options.h"
#include "passes/residency_model.h"
#include "passes/residency_rewrite.h"
#include "passes/residency_search.h"
#include "runtime/timing/rates.h"

namespace wsi {
namespace {

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
  if (answer.smallest_device < 0) {
    const Bytes host = answer.smallest_host < 0 ? model.homed_bytes : answer.smallest_host;
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
  WSI_ASSIGN_OR_RETURN(const ResidencyModel model,
                       BuildResidencyModel(graph, options.rates,
                                           {.smallest = options.smallest, .homed = options.homed}));
  const ResidencyGoal goal = {.device_budget = options.device_budget,
                              .host_budget = options.host_budget,
                              .may_recompute = options.recompute,
                              .may_offload = options.offload,
                              .copies = options.copies};
  const ResidencyAnswer answer = SearchResidency(model, goal);
  if (!answer.cost.is_possible) return DoesNotFit(graph, model, answer, options);
  ResidencyScheduler scheduler(model);
  const uint64_t before = HashGraph(graph);
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
    if (home) bound.homed = HomeableValues(graph, parsed.smallest);
    return PlanResidency(graph, bound, context);
  });
}

}  // namespace wsi
