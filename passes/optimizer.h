// Optimizer: what a step does to the parameters, with PyTorch's semantics.
//
// Appends one update per parameter in Phase::kUpdate, its moments as Role::kState that
// starts at zero, and the scalars "lr" and, for Adam, "step". With clipping, every
// gradient is scaled by min(1, clip_norm / norm of all gradients). With accumulation, a
// state per parameter adds up the gradients of `accumulation_steps` micro-steps in
// Phase::kBackward; the update phase, which runs in the last of them only, works on their
// mean and sets the states back to zero. Such a state has two updates: it holds what it
// was last made to.
//
// The updates read means over the ranks: AllReduce, in Phase::kUpdate, makes them of the
// gradients or the accumulators (gradient_buckets.h). So all ranks clip, skip and update
// alike.
//
// Where autodiff scaled the loss, the gradients are divided by the scalar "loss_scale"
// before they are used, and a step with a gradient that is not finite leaves parameters
// and moments as they are: the state "gradients_finite" is then 0, else 1. Accumulators
// are set back in any case.
// Requires: Graph::gradients. Ensures: an update for each of their parameters.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "passes/gradient_buckets.h"
#include "runtime/base/status.h"

namespace wsi {

enum class OptimizerKind : uint8_t { kSgd, kMomentum, kNesterov, kAdam, kAdamW };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double momentum = 0.9;  // momentum and nesterov
  double beta1 = 0.9;     // adam and adamw
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  bool decay_vectors = true;  // Also on parameters of rank 1 and 0: norms and biases.
  double clip_norm = 0;       // 0: no clipping.
  int64_t accumulation_steps = 1;
  Bytes bucket_bytes = kBucketBytes;  // Of gradients that are reduced together.
};
// kUsage where a number is out of its range.
Result<bool> AddOptimizer(Graph& graph, const OptimizerOptions& options, PassContext& context);

}  // namespace wsi
