// Layout: channels last.
//
// Every activation with spatial axes becomes N,spatial...,C: spatial operators get
// channels_last=1, elementwise operators follow their operands, operators with axis
// attributes have these remapped, and operators that want ONNX's order get it through a
// Transpose. Persistent values and inputs are not transposed but stored the new way:
// Value::permutation records how their axes stand to ONNX's. Outputs of the model keep
// ONNX's order. A Transpose that moves only axes of size 1 is a Reshape.
// Notes how many Transposes are left.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct LayoutOptions {};
// A graph that is channels-last already is left as it is.
Result<bool> MakeChannelsLast(Graph& graph, const LayoutOptions& options, PassContext& context);

// Whether the layout pass has run on `graph`.
bool IsChannelsLast(const Graph& graph);

}  // namespace wsi
