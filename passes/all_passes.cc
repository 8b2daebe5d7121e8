// The passes by name, for `wsic opt` and the tests.
#include <array>
#include <utility>

#include "passes/assign.h"
#include "passes/autodiff.h"
#include "passes/defer.h"
#include "passes/fuse.h"
#include "passes/group.h"
#include "passes/layout.h"
#include "passes/loss.h"
#include "passes/norm.h"
#include "passes/optimizer.h"
#include "passes/pass_options.h"
#include "passes/pipeline.h"
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

// A pass whose options are read into `parsed`.
template <typename Options>
Result<PassFunction> Bind(PassOptions& options, Options parsed,
                          Result<bool> (*pass)(Graph&, const Options&, PassContext&)) {
  WSI_RETURN_IF_ERROR(options.Finish());
  return PassFunction(
      [=](Graph& graph, PassContext& context) { return pass(graph, parsed, context); });
}

Result<PassFunction> MakeWiden(const Attributes& attributes) {
  PassOptions options(attributes);
  WidenOptions parsed;
  parsed.to = options.Choice<DType>("to", {{"f64", DType::kF64}, {"f32", DType::kF32}}, parsed.to);
  return Bind(options, parsed, Widen);
}

Result<PassFunction> MakeSimplify(const Attributes& attributes) {
  PassOptions options(attributes);
  SimplifyOptions parsed;
  parsed.fold_limit = options.Int("fold_limit", parsed.fold_limit);
  parsed.inference = options.Bool("inference", parsed.inference);
  return Bind(options, parsed, Simplify);
}

Result<PassFunction> MakeNorm(const Attributes& attributes) {
  PassOptions options(attributes);
  NormOptions parsed;
  parsed.mode = options.Choice<NormMode>(
      "mode",
      {{"auto", NormMode::kAuto}, {"train", NormMode::kTrain}, {"frozen", NormMode::kFrozen}},
      parsed.mode);
  parsed.inference = options.Bool("inference", parsed.inference);
  return Bind(options, parsed, ResolveNorm);
}

Result<PassFunction> MakeLayout(const Attributes& attributes) {
  PassOptions options(attributes);
  return Bind(options, LayoutOptions{}, MakeChannelsLast);
}

Result<PassFunction> MakeLoss(const Attributes& attributes) {
  PassOptions options(attributes);
  LossOptions parsed;
  parsed.kind = options.Choice<LossKind>("kind",
                                         {{"cross-entropy", LossKind::kCrossEntropy},
                                          {"bce", LossKind::kBce},
                                          {"mse", LossKind::kMse},
                                          {"model", LossKind::kModel},
                                          {"none", LossKind::kNone}},
                                         parsed.kind);
  parsed.inference = options.Bool("inference", parsed.inference);
  return Bind(options, parsed, AddLoss);
}

Result<PassFunction> MakeAutodiff(const Attributes& attributes) {
  PassOptions options(attributes);
  AutodiffOptions parsed;
  parsed.loss_scale = options.Bool("loss_scale", parsed.loss_scale);
  return Bind(options, parsed, Differentiate);
}

Result<PassFunction> MakeOptimizer(const Attributes& attributes) {
  PassOptions options(attributes);
  OptimizerOptions parsed;
  parsed.kind = options.Choice<OptimizerKind>("kind",
                                              {{"sgd", OptimizerKind::kSgd},
                                               {"momentum", OptimizerKind::kMomentum},
                                               {"nesterov", OptimizerKind::kNesterov},
                                               {"adam", OptimizerKind::kAdam},
                                               {"adamw", OptimizerKind::kAdamW}},
                                              parsed.kind);
  parsed.momentum = options.Float("momentum", parsed.momentum);
  parsed.beta1 = options.Float("beta1", parsed.beta1);
  parsed.beta2 = options.Float("beta2", parsed.beta2);
  parsed.epsilon = options.Float("epsilon", parsed.epsilon);
  parsed.weight_decay = options.Float("weight_decay", parsed.weight_decay);
  parsed.decay_vectors = options.Bool("decay_vectors", parsed.decay_vectors);
  parsed.clip_norm = options.Float("clip_norm", parsed.clip_norm);
  parsed.accumulation_steps = options.Int("accumulation_steps", parsed.accumulation_steps);
  parsed.bucket_bytes = options.Int("bucket_bytes", parsed.bucket_bytes);
  return Bind(options, parsed, AddOptimizer);
}

Result<PassFunction> MakePrecision(const Attributes& attributes) {
  PassOptions options(attributes);
  PrecisionOptions parsed;
  parsed.half = options.Choice<DType>("precision", {{"fp16", DType::kF16}, {"bf16", DType::kBF16}},
                                      parsed.half);
  return Bind(options, parsed, ReducePrecision);
}

Result<PassFunction> MakeSyncNorm(const Attributes& attributes) {
  PassOptions options(attributes);
  return Bind(options, SyncNormOptions{}, SynchroniseNorm);
}

Result<PassFunction> MakeFuse(const Attributes& attributes) {
  PassOptions options(attributes);
  return Bind(options, FuseOptions{}, Fuse);
}

Result<PassFunction> MakeDefer(const Attributes& attributes) {
  PassOptions options(attributes);
  DeferOptions parsed;
  parsed.updates = options.Bool("updates", parsed.updates);
  return Bind(options, parsed, DeferUpdates);
}

Result<PassFunction> MakeWorkspace(const Attributes& attributes) {
  PassOptions options(attributes);
  WorkspaceOptions parsed;
  parsed.device = options.String("device", parsed.device);
  parsed.hopper = options.Bool("hopper", parsed.hopper);
  parsed.library_bytes = options.Size("library_bytes", parsed.library_bytes);
  return Bind(options, parsed, SetWorkspaces);
}

constexpr std::array kPasses = {
    PassEntry{"widen", "floats become f64, or halves f32 {to=f64|f32}", MakeWiden},
    PassEntry{"simplify", "fold constants, drop what does nothing {fold_limit, inference}",
              MakeSimplify},
    PassEntry{"norm", "what BatchNormalization does {mode=auto|train|frozen, inference}", MakeNorm},
    PassEntry{"layout", "channels last", MakeLayout},
    PassEntry{"loss", "the loss and its target {kind=cross-entropy|bce|mse|model|none, inference}",
              MakeLoss},
    PassEntry{"autodiff", "the gradients of the parameters {loss_scale}", MakeAutodiff},
    PassEntry{"optimizer",
              "the updates of the parameters {kind=sgd|momentum|nesterov|adam|adamw, momentum, "
              "beta1, beta2, epsilon, weight_decay, decay_vectors, clip_norm, accumulation_steps, "
              "bucket_bytes}",
              MakeOptimizer},
    PassEntry{"precision", "activations in half precision {precision=fp16|bf16}", MakePrecision},
    PassEntry{"sync-norm", "batch norm in training mode over the batches of all ranks",
              MakeSyncNorm},
    PassEntry{"fuse", "batch norm, residual sum and ReLU in one", MakeFuse},
    PassEntry{"workspace",
              "what kernels take beside their operands {device=cpu|cuda|reference, hopper, "
              "library_bytes}",
              MakeWorkspace},
    PassEntry{"schedule", "an order that lowers the peak of live bytes", MakeSchedulePass},
    PassEntry{"residency",
              "keep, recompute or offload what is not in use {device_budget, host_budget, "
              "recompute, offload, home, smallest, copies=demand|timed, rates}",
              MakeResidencyPass},
    PassEntry{"group",
              "cut the step into groups {rule=none|footprint|critical-path, device_budget, "
              "longest, rates}",
              MakeGroupPass},
    PassEntry{"prefetch",
              "copies beside the operators {mode=demand|group|timed, ahead, device_budget, rates}",
              MakePrefetchPass},
    PassEntry{"spill",
              "what the host has no room for goes to a file {host_budget, file_budget, rates}",
              MakeSpillPass},
    PassEntry{"defer", "updates that wait for other ranks run later {updates}", MakeDefer},
    PassEntry{"assign", "offsets in the arenas {device_budget, host_budget, file_budget}",
              MakeAssignPass},
};

}  // namespace

std::span<const PassEntry> AllPasses() { return kPasses; }

}  // namespace wsi
