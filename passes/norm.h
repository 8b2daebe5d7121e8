// Norm: what BatchNormalization and Dropout do in the program that is being made.
//
// Training, batch norm in mode train: BatchNormTrain, and MovingAverage updates of the
// running statistics with the node's momentum. Frozen: BatchNormApply with running
// statistics and affine parameters constant, as torchvision's FrozenBatchNorm2d. Auto:
// train where the node's training_mode is 1, else frozen. Inference: BatchNormApply
// with the running statistics. The roles of the running statistics depend on the mode
// only, so that both programs of a plan agree on them.
//
// MovingAverages come behind the forward pass, all in a row, so that a backend may take them
// together; what they read is kept for the gradients anyway.
//
// In training, Dropout gets the scalars "seed" and "step" that its mask depends on.
// Ensures: no BatchNormalization is left.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

enum class NormMode : uint8_t { kAuto, kTrain, kFrozen };

struct NormOptions {
  NormMode mode = NormMode::kAuto;
  bool inference = false;
};
Result<bool> ResolveNorm(Graph& graph, const NormOptions& options, PassContext& context);

}  // namespace wsi
