#include "passes/pipeline.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "compiler/ir/text.h"
#include "compiler/pass/pass_manager.h"
#include "passes/assign.h"
#include "passes/autodiff.h"
#include "passes/fuse.h"
#include "passes/layout.h"
#include "passes/precision.h"
#include "passes/schedule.h"
#include "passes/simplify.h"
#include "passes/widen.h"

namespace wsi {
namespace {

template <typename Options>
Pass Bind(std::string name, Options options,
          Result<bool> (*pass)(Graph&, const Options&, PassContext&)) {
  return {std::move(name),
          [=](Graph& graph, PassContext& context) { return pass(graph, options, context); }};
}

void AddPrecision(const PipelineOptions& options, std::vector<Pass>& passes) {
  if (options.precision == DType::kF32) return;
  passes.push_back(Bind("precision", PrecisionOptions{.half = options.precision}, ReducePrecision));
}

// All but the last pass, assign, which needs the persistent values of all programs.
std::vector<Pass> TrainPasses(const PipelineOptions& options) {
  std::vector<Pass> passes;
  if (options.widen) passes.push_back(Bind("widen", WidenOptions{}, Widen));
  passes.push_back(Bind("simplify", SimplifyOptions{.fold_limit = options.fold_limit}, Simplify));
  passes.push_back(Bind("norm", NormOptions{.mode = options.norm}, ResolveNorm));
  passes.push_back(Bind("layout", LayoutOptions{}, MakeChannelsLast));
  passes.push_back(Bind("loss", LossOptions{.kind = options.loss}, AddLoss));
  passes.push_back(
      Bind("autodiff", AutodiffOptions{.loss_scale = options.loss_scale}, Differentiate));
  passes.push_back(Bind("optimizer", options.optimizer, AddOptimizer));
  AddPrecision(options, passes);
  passes.push_back(Bind("fuse", FuseOptions{}, Fuse));
  passes.push_back(Bind("schedule", ScheduleOptions{}, ScheduleNodes));
  return passes;
}

// What training decided about a persistent value holds in inference, too; a weight that
// training does not have is constant.
Pass ShareRoles(const Graph& train) {
  return {"share-roles", [&train](Graph& graph, PassContext&) -> Result<bool> {
            bool changed = false;
            for (int32_t i = 0; i < graph.value_count(); ++i) {
              Value& value = graph.value(ValueId{i});
              if (!IsPersistent(value.role)) continue;
              const ValueId trained = train.FindValue(value.name);
              const bool is_shared = trained.valid() && IsPersistent(train.value(trained).role);
              const Role role = is_shared ? train.value(trained).role : Role::kConstant;
              changed |= value.role != role;
              value.role = role;
            }
            return changed;
          }};
}

// `train` is null where there is no training program; else it outlives the passes.
std::vector<Pass> InferPasses(const PipelineOptions& options, const Graph* train) {
  std::vector<Pass> passes;
  if (options.widen) passes.push_back(Bind("widen", WidenOptions{}, Widen));
  passes.push_back(Bind(
      "simplify", SimplifyOptions{.fold_limit = options.fold_limit, .inference = true}, Simplify));
  passes.push_back(Bind("norm", NormOptions{.mode = options.norm, .inference = true}, ResolveNorm));
  passes.push_back(Bind("layout", LayoutOptions{}, MakeChannelsLast));
  passes.push_back(Bind("loss", LossOptions{.kind = options.loss, .inference = true}, AddLoss));
  if (train != nullptr) passes.push_back(ShareRoles(*train));
  AddPrecision(options, passes);
  passes.push_back(Bind("fuse", FuseOptions{}, Fuse));
  passes.push_back(Bind("schedule", ScheduleOptions{}, ScheduleNodes));
  return passes;
}

// One program on its way through its passes.
struct Compilation {
  Graph graph;
  std::vector<Pass> passes;
  DumpOptions dumps;
  size_t next = 0;  // The first pass that has not run.
};

// Takes the graph from a dump. The passes before it run all the same, for the constants
// that they leave in the store and that the dump only names.
Status Resume(Compilation& compilation, const StartAt& start, std::vector<Pass> all) {
  WSI_ASSIGN_OR_RETURN(const size_t behind, PassesBehindDump(start.file_name, all));
  TensorStore* store = &compilation.graph.tensors();
  const size_t before = std::min(behind, compilation.passes.size());
  PassContext silent([](std::string_view, std::string_view) {});
  WSI_RETURN_IF_ERROR(
      RunPasses(compilation.graph, std::span(compilation.passes).first(before), {}, silent));
  Result<Graph> parsed = ParseGraph(start.text, store);
  if (!parsed.ok()) return parsed.status().WithContext(start.file_name);
  compilation.graph = std::move(parsed).value();
  compilation.next = behind;
  return {};
}

Status RunToSchedule(Compilation& compilation, const PipelineOptions& options, bool resumes,
                     PassContext& context) {
  if (resumes && options.start_at) {
    std::vector<Pass> all = compilation.passes;
    all.push_back(Bind("assign", AssignOptions{}, AssignBuffers));
    WSI_RETURN_IF_ERROR(Resume(compilation, *options.start_at, std::move(all)));
  }
  if (compilation.next > compilation.passes.size()) return {};
  return RunPasses(compilation.graph, compilation.passes, compilation.dumps, context,
                   compilation.next);
}

Status RunAssign(Compilation& compilation, const AssignOptions& assign, PassContext& context) {
  std::vector<Pass> passes = compilation.passes;
  passes.push_back(Bind("assign", assign, AssignBuffers));
  const size_t first = std::max(compilation.next, compilation.passes.size());
  return RunPasses(compilation.graph, passes, compilation.dumps, context, first);
}

DumpOptions InferDumps(DumpOptions dumps) {
  if (!dumps.directory.empty()) {
    dumps.directory = (std::filesystem::path(dumps.directory) / "infer").string();
  }
  return dumps;
}

Result<CompiledGraphs> CompileInferOnly(Graph imported, const PipelineOptions& options,
                                        PassContext& context) {
  Compilation infer{std::move(imported), InferPasses(options, nullptr), options.dumps};
  WSI_RETURN_IF_ERROR(RunToSchedule(infer, options, true, context));
  const AssignOptions assign{.persistents = std::nullopt, .device_budget = options.device_budget};
  WSI_RETURN_IF_ERROR(RunAssign(infer, assign, context));
  return CompiledGraphs{std::nullopt, std::move(infer.graph)};
}

}  // namespace

Result<CompiledGraphs> CompileGraphs(Graph imported, const PipelineOptions& options,
                                     PassContext& context) {
  if (options.loss == LossKind::kNone) {
    return CompileInferOnly(std::move(imported), options, context);
  }
  Compilation train{imported, TrainPasses(options), options.dumps};
  WSI_RETURN_IF_ERROR(RunToSchedule(train, options, true, context));

  Compilation infer{std::move(imported), InferPasses(options, &train.graph),
                    InferDumps(options.dumps)};
  PassContext silent([](std::string_view, std::string_view) {});  // It repeats train's notes.
  WSI_RETURN_IF_ERROR(RunToSchedule(infer, options, false, silent));

  const Graph* graphs[] = {&train.graph, &infer.graph};
  WSI_ASSIGN_OR_RETURN(PersistentLayout persistents, LayOutPersistents(graphs));
  const AssignOptions assign{.persistents = std::move(persistents),
                             .device_budget = options.device_budget};
  WSI_RETURN_IF_ERROR(RunAssign(train, assign, context));
  WSI_RETURN_IF_ERROR(RunAssign(infer, assign, context));
  return CompiledGraphs{std::move(train.graph), std::move(infer.graph)};
}

}  // namespace wsi
