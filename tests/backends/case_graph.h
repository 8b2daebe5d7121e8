// A case as a graph: the operator, its output 0 weighted at random and summed to a loss.
#pragma once

#include <set>

#include "tests/backends/gradient_cases.h"
#include "tests/backends/graph_evaluator.h"

namespace wsi {

struct CaseGraph {
  TensorStore store;
  Graph graph{&store};
  NodeId node;          // The operator under test.
  NamedTensors values;  // Of every operand, and of "weights".
};

std::string InputName(int i);

// Fills `scene`, whose floats are f64, from the seed. Inputs in `wrt` are parameters, the
// others constants.
Status BuildCaseGraph(const GradientCase& test, const std::set<int>& wrt, int64_t seed,
                      Fill weights, CaseGraph& scene);

// Appends the gradients of the parameters by autodiff and evaluates all into
// `scene.values`.
Status DifferentiateAndEvaluate(CaseGraph& scene, LaunchRunner& runner);

// The loss for `given` operands; `scene` without gradients is evaluated faster.
Result<double> EvaluateLoss(const CaseGraph& scene, const NamedTensors& given,
                            LaunchRunner& runner);

// The gradients that autodiff has made, by parameter; `scene` has been evaluated.
NamedTensors GradientsOf(const CaseGraph& scene);

}  // namespace wsi
