// Evaluates a graph node by node on a backend, keeping every value.
#pragma once

#include <map>
#include <string>

#include "compiler/ir/graph.h"
#include "runtime/base/tensor.h"
#include "tests/backends/launch_runner.h"

namespace wsi {

using NamedTensors = std::map<std::string, Tensor>;

// `values` holds every value that no node produces, by name; the produced ones are
// added. BatchNormTrain, which no backend launches, runs as BatchNormStats and
// BatchNormApply, as in a plan.
Status EvaluateGraph(const Graph& graph, LaunchRunner& runner, NamedTensors& values);

}  // namespace wsi
