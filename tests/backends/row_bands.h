// Computes nodes band by band, as the row algebra says.
#pragma once

#include "compiler/ops/rows.h"
#include "tests/backends/graph_evaluator.h"

namespace wsi {

// Rows `rows` along `axis`.
Tensor TakeRowsOf(const Tensor& tensor, int axis, RowRange rows);
// `part` becomes the rows from `begin` on.
void PutRows(const Tensor& part, int axis, int64_t begin, Tensor& whole);

// The outputs of `node` from what `values` holds.
Result<std::vector<Tensor>> RunNode(const Graph& graph, NodeId node, const NamedTensors& values,
                                    LaunchRunner& runner);

// The outputs of `node` from bands along `axis` that end at `cuts`, the last at the number
// of rows: rows stitched, sums added up. `values` holds the operands, by name.
Result<std::vector<Tensor>> RunInBands(const Graph& graph, NodeId node, int axis,
                                       const std::vector<int64_t>& cuts, const NamedTensors& values,
                                       LaunchRunner& runner);

}  // namespace wsi
