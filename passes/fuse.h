// Fuse: fewer passes over the activations.
//
//   forward    BatchNormTrain                -> BatchNormStats, BatchNormApply
//              BatchNormApply [+ Add] [+ Relu] -> BatchNormApply{relu, residual}
//   backward   ReluGrad + BatchNormGrad*     -> BatchNormGrad*{relu, y}
//              y of a BatchNormApply without residual -> scale, bias: the mask comes from x
//              Add + BatchNormGradStats that stores dz -> BatchNormGradStats{addend}
//
// A forward intermediate disappears only where nothing else reads it. Where several
// branches read a ReluGrad's result (a residual block), the first BatchNormGradStats
// makes it as its third output and the others go on reading it.
// Requires: a channels-last graph, before or after autodiff.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct FuseOptions {};
Result<bool> Fuse(Graph& graph, const FuseOptions& options, PassContext& context);

}  // namespace wsi
