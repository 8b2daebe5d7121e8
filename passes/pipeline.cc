#include "passes/pipeline.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "compiler/ir/text.h"
#include "compiler/pass/pass_manager.h"
#include "passes/assign.h"
#include "passes/autodiff.h"
#include "passes/defer.h"
#include "passes/fit_memory.h"
#include "passes/fuse.h"
#include "passes/group.h"
#include "passes/layout.h"
#include "passes/precision.h"
#include "passes/prefetch.h"
#include "passes/residency.h"
#include "passes/schedule.h"
#include "passes/simplify.h"
#include "passes/spill.h"
#include "passes/sync_norm.h"
#include "passes/widen.h"
#include "passes/workspace.h"

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

void AddWiden(const Graph& imported, const PipelineOptions& options, std::vector<Pass>& passes) {
  if (options.widen) {
    passes.push_back(Bind("widen", WidenOptions{}, Widen));
  } else if (HasHalves(imported)) {
    passes.push_back(Bind("widen", WidenOptions{.to = DType::kF32}, Widen));
  }
}

// Kernels of other devices keep theirs themselves.
void AddWorkspace(const PipelineOptions& options, std::vector<Pass>& passes) {
  if (options.workspace.device != "cuda") return;
  passes.push_back(Bind("workspace", options.workspace, SetWorkspaces));
}

// To schedule: what is behind depends on the memory that all programs need.
std::vector<Pass> TrainPasses(const Graph& imported, const PipelineOptions& options) {
  std::vector<Pass> passes;
  AddWiden(imported, options, passes);
  passes.push_back(Bind("simplify", SimplifyOptions{.fold_limit = options.fold_limit}, Simplify));
  passes.push_back(Bind("norm", NormOptions{.mode = options.norm}, ResolveNorm));
  passes.push_back(Bind("layout", LayoutOptions{}, MakeChannelsLast));
  passes.push_back(Bind("loss", LossOptions{.kind = options.loss}, AddLoss));
  passes.push_back(
      Bind("autodiff", AutodiffOptions{.loss_scale = options.loss_scale}, Differentiate));
  passes.push_back(Bind("optimizer", options.optimizer, AddOptimizer));
  AddPrecision(options, passes);
  if (options.sync_norm) passes.push_back(Bind("sync-norm", SyncNormOptions{}, SynchroniseNorm));
  passes.push_back(Bind("fuse", FuseOptions{}, Fuse));
  AddWorkspace(options, passes);
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
std::vector<Pass> InferPasses(const Graph& imported, const PipelineOptions& options,
                              const Graph* train) {
  std::vector<Pass> passes;
  AddWiden(imported, options, passes);
  passes.push_back(Bind(
      "simplify", SimplifyOptions{.fold_limit = options.fold_limit, .inference = true}, Simplify));
  passes.push_back(Bind("norm", NormOptions{.mode = options.norm, .inference = true}, ResolveNorm));
  passes.push_back(Bind("layout", LayoutOptions{}, MakeChannelsLast));
  passes.push_back(Bind("loss", LossOptions{.kind = options.loss, .inference = true}, AddLoss));
  if (train != nullptr) passes.push_back(ShareRoles(*train));
  AddPrecision(options, passes);
  passes.push_back(Bind("fuse", FuseOptions{}, Fuse));
  AddWorkspace(options, passes);
  passes.push_back(Bind("schedule", ScheduleOptions{}, ScheduleNodes));
  return passes;
}

// From residency to assign. The last two place what those before have planned.
constexpr size_t kPlanningPasses = 4;
constexpr size_t kPlacingPasses = 2;
std::vector<Pass> MemoryPasses(const MemoryGoal& goal, const Placing& placing) {
  const MemoryOptions& m = goal.options;
  const bool is_timed = m.prefetch == PrefetchMode::kTimed;
  return {Bind("residency",
               ResidencyOptions{.device_budget = m.device_budget,
                                .host_budget = m.file_budget > 0 ? 0 : m.host_budget,
                                .recompute = m.recompute,
                                .offload = m.offload,
                                .copies = is_timed ? CopyMode::kTimed : CopyMode::kDemand,
                                .first_fit = m.first_fit,
                                .homed = goal.homed,
                                .rates = m.rates,
                                .memory = goal.memory},
               PlanResidency),
          Bind("group",
               GroupOptions{.rule = m.groups, .device_budget = m.device_budget, .rates = m.rates},
               GroupOperators),
          Bind("prefetch",
               PrefetchOptions{.device_budget = m.device_budget,
                               .mode = m.prefetch,
                               .ahead = m.ahead,
                               .rates = m.rates},
               PrefetchCopies),
          Bind("spill",
               SpillOptions{
                   .host_budget = m.host_budget, .file_budget = m.file_budget, .rates = m.rates},
               SpillToFile),
          Bind("defer", DeferOptions{.updates = placing.defers}, DeferUpdates),
          Bind("assign", placing.assign, AssignBuffers)};
}

// One program on its way through its passes.
struct Compilation {
  Graph graph;
  std::vector<Pass> passes;  // To schedule.
  DumpOptions dumps;
  size_t next = 0;  // The first pass that has not run.
};

std::vector<Pass> AllOf(const Compilation& compilation, const MemoryGoal& goal,
                        const Placing& placing) {
  std::vector<Pass> all = compilation.passes;
  for (Pass& pass : MemoryPasses(goal, placing)) all.push_back(std::move(pass));
  return all;
}

// Takes the graph from a dump. The passes before it run all the same, for the constants
// that they leave in the store and that the dump only names.
Status Resume(Compilation& compilation, const StartAt& start) {
  WSI_ASSIGN_OR_RETURN(const size_t behind,
                       PassesBehindDump(start.file_name, AllOf(compilation, {}, {})));
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
    WSI_RETURN_IF_ERROR(Resume(compilation, *options.start_at));
  }
  if (compilation.next > compilation.passes.size()) return {};
  return RunPasses(compilation.graph, compilation.passes, compilation.dumps, context,
                   compilation.next);
}

DumpOptions InferDumps(DumpOptions dumps) {
  if (!dumps.directory.empty()) {
    dumps.directory = (std::filesystem::path(dumps.directory) / "infer").string();
  }
  return dumps;
}

// The passes behind schedule, as FitMemory calls them. A goal that is tried in vain leaves
// dumps that the next one replaces.
class MemoryRunner {
 public:
  MemoryRunner(std::span<Compilation* const> programs, PassContext& context)
      : programs_(programs), context_(context) {}

  RunMemoryPasses Memory(bool dumps) {
    return [this, dumps](size_t program, const MemoryGoal& goal) -> Result<Graph> {
      return Run(*programs_[program], programs_[program]->graph,
                 AllOf(*programs_[program], goal, {}), {0, kPlanningPasses}, dumps);
    };
  }
  RunPlacingPasses Placing(bool dumps) {
    return [this, dumps](size_t program, Graph graph, const wsi::Placing& placing) {
      return Run(*programs_[program], std::move(graph), AllOf(*programs_[program], {}, placing),
                 {kPlanningPasses, kPlanningPasses + kPlacingPasses}, dumps);
    };
  }

 private:
  // Runs those of the memory passes [first, end) that the dump resumed from is not behind.
  Result<Graph> Run(const Compilation& program, Graph graph, std::vector<Pass> passes,
                    std::pair<size_t, size_t> range, bool dumps) {
    const size_t first = std::max(program.next, program.passes.size() + range.first);
    passes.resize(program.passes.size() + range.second);
    if (first < passes.size()) {
      WSI_RETURN_IF_ERROR(
          RunPasses(graph, passes, dumps ? program.dumps : DumpOptions{}, context_, first));
    }
    return graph;
  }

  std::span<Compilation* const> programs_;
  PassContext& context_;
};

Result<std::vector<Graph>> FitPrograms(std::span<Compilation* const> programs,
                                       const MemoryOptions& memory, PassContext& context,
                                       Bytes* smallest_device_bytes) {
  std::vector<const Graph*> scheduled;
  for (const Compilation* program : programs) scheduled.push_back(&program->graph);
  MemoryRunner runner(programs, context);
  Result<FittedMemory> fitted =
      FitMemory(scheduled, memory, runner.Memory(true), runner.Placing(true));
  if (fitted.ok()) return std::move(fitted).value().graphs;
  if (fitted.status().code() == ErrorCode::kResources && smallest_device_bytes != nullptr) {
    WSI_ASSIGN_OR_RETURN(
        *smallest_device_bytes,
        SmallestDeviceBudget(scheduled, memory, runner.Memory(false), runner.Placing(false)));
  }
  return fitted.status();
}

Result<CompiledGraphs> CompileInferOnly(Graph imported, const PipelineOptions& options,
                                        PassContext& context, Bytes* smallest_device_bytes) {
  std::vector<Pass> passes = InferPasses(imported, options, nullptr);
  Compilation infer{std::move(imported), std::move(passes), options.dumps};
  WSI_RETURN_IF_ERROR(RunToSchedule(infer, options, true, context));
  Compilation* programs[] = {&infer};
  WSI_ASSIGN_OR_RETURN(std::vector<Graph> graphs,
                       FitPrograms(programs, options.memory, context, smallest_device_bytes));
  return CompiledGraphs{std::nullopt, std::move(graphs[0])};
}

}  // namespace

Result<CompiledGraphs> CompileGraphs(Graph imported, const PipelineOptions& options,
                                     PassContext& context, Bytes* smallest_device_bytes) {
  if (options.loss == LossKind::kNone) {
    return CompileInferOnly(std::move(imported), options, context, smallest_device_bytes);
  }
  Compilation train{imported, TrainPasses(imported, options), options.dumps};
  WSI_RETURN_IF_ERROR(RunToSchedule(train, options, true, context));

  std::vector<Pass> passes = InferPasses(imported, options, &train.graph);
  Compilation infer{std::move(imported), std::move(passes), InferDumps(options.dumps)};
  PassContext silent([](std::string_view, std::string_view) {});  // It repeats train's notes.
  WSI_RETURN_IF_ERROR(RunToSchedule(infer, options, false, silent));

  Compilation* programs[] = {&train, &infer};
  WSI_ASSIGN_OR_RETURN(std::vector<Graph> graphs,
                       FitPrograms(programs, options.memory, context, smallest_device_bytes));
  return CompiledGraphs{std::move(graphs[0]), std::move(graphs[1])};
}

}  // namespace wsi
