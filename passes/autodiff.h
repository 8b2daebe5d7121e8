// Autodiff: reverse-mode differentiation of the loss.
//
// Walks the forward nodes that lie on a path from a trainable parameter to the loss, last
// first, and appends each one's gradient rule (OpDef::gradient) in Phase::kBackward.
// Gradients that reach a value on several ways are added up in the order in which they
// are made. Parameters are the floating-point values of Role::kParameter; those that do
// not reach the loss become constants, with a note. Gradients of inputs are not made.
// Requires: Graph::loss. Ensures: Graph::gradients, in the order of the parameters.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct AutodiffOptions {
  // The loss's own gradient is the scalar "loss_scale" instead of 1, and every other
  // gradient that many times itself: for half precision, whose smallest numbers are large.
  bool loss_scale = false;
};
// kInvalidInput, naming every operator on such a path that has no gradient.
Result<bool> Differentiate(Graph& graph, const AutodiffOptions& options, PassContext& context);

}  // namespace wsi
