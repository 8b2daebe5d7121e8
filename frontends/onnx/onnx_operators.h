// The operators of ONNX that are imported, as documentation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wsi {

struct OnnxOperator {
  std::string_view name;
  std::vector<std::string_view> becomes;  // Operators of the graph; none: nothing is left.
  bool is_differentiable = false;         // Some operator that may come of it has a gradient.
};

// Sorted by name.
std::vector<OnnxOperator> OnnxOperators();
// What docs/operators.md holds behind its heading: these, and the operators of the graph.
std::string OperatorsPage();

}  // namespace wsi
