// The compilation of an imported graph into the graphs of a plan's programs. Which
// passes run and in which order stands in pipeline.cc alone.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "compiler/ir/graph.h"
#include "compiler/pass/dump.h"
#include "compiler/pass/pass.h"
#include "compiler/pass/pass_context.h"
#include "passes/fit_memory.h"
#include "passes/loss.h"
#include "passes/norm.h"
#include "passes/optimizer.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/workspace/workspace.h"

namespace wsi {

// Every pass under its name, in the pipeline's order.
std::span<const PassEntry> AllPasses();

// A dump to go on from, in place of what the passes before it give.
struct StartAt {
  std::string file_name;  // NN.PASS.wsir says how many passes are behind it.
  std::string text;
};

struct PipelineOptions {
  bool widen = false;             // f64 throughout, for the reference device.
  DType precision = DType::kF32;  // Of activations; or kF16, or kBF16.
  bool loss_scale = false;        // Dynamic loss scaling, which kF16 needs.
  Bytes fold_limit = Bytes{64} << 20;
  NormMode norm = NormMode::kAuto;
  bool sync_norm = false;                   // Batch norm in training mode over all ranks.
  LossKind loss = LossKind::kCrossEntropy;  // kNone: no training program.
  OptimizerOptions optimizer;
  WorkspaceOptions workspace;  // Of the device that the plan is for.
  MemoryOptions memory;
  // Of the training program; those of the inference program go to the subfolder infer
  // where there are both.
  DumpOptions dumps;
  // Of the training program, or of the inference program where it is alone.
  std::optional<StartAt> start_at;
};

// Scheduled, with buffers assigned: ready for LowerToPlan. Persistent values of one name
// are the same value at the same place in both.
struct CompiledGraphs {
  std::optional<Graph> train;
  Graph infer;
};
// `imported`: the canonical forward graph; its TensorStore outlives the result. Where the
// graphs do not fit the budgets, kResources, and `smallest_device_bytes`, if given, receives
// the smallest device budget that would do.
Result<CompiledGraphs> CompileGraphs(Graph imported, const PipelineOptions& options,
                                     PassContext& context, Bytes* smallest_device_bytes = nullptr);

}  // namespace wsi
