// Loss: the scalar that training brings down, and the target that it compares with.
//
// Appends cross-entropy, bce or mse to the model's first output, or takes a loss node
// that the model has. Makes the Role::kTarget value: i64[N, d...] for cross-entropy on
// scores f[N, C, d...], of the output's own type for bce and mse.
// Requires: outputs in ONNX's axis order. Ensures: Graph::loss, in training.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

enum class LossKind : uint8_t {
  kNone,
  kCrossEntropy,
  kBce,  // binary cross-entropy on logits
  kMse,
  kModel,  // the model's own SoftmaxCrossEntropyLoss or NegativeLogLikelihoodLoss
};

struct LossOptions {
  LossKind kind = LossKind::kCrossEntropy;
  // Makes no loss. With kModel, takes the model's own loss and label out instead; where
  // the loss is the only output, the scores that it reads become the output.
  bool inference = false;
};
Result<bool> AddLoss(Graph& graph, const LossOptions& options, PassContext& context);

}  // namespace wsi
