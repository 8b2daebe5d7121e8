// Simplify: the imported graph without what exporters wrap around a model.
//
// Folds constants, removes what does nothing (Identity, Dropout in inference, Cast and
// Expand to the same type, zero convolution biases, x+0, x*1), merges chains of Reshape
// and of Transpose, recognises GlobalAveragePool, merges equal computations and drops
// dead ones, until nothing changes.
// Requires: channels-first tensors. Ensures: inputs and outputs of the model stay, by
// name and type.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

struct SimplifyOptions {
  Bytes fold_limit = Bytes{64} << 20;  // No constant that folding makes is larger.
  bool inference = false;              // Dropout is the identity.
};
Result<bool> Simplify(Graph& graph, const SimplifyOptions& options, PassContext& context);

}  // namespace wsi
