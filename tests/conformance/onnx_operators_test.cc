// What the table of ONNX's operators says becomes of each holds for ONNX's node cases.
#include "frontends/onnx/onnx_operators.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "frontends/onnx/backend_case.h"
#include "frontends/onnx/import.h"
#include "tests/conformance/node_cases.h"

namespace wsi {
namespace {

// The operators of the case's graph if the model is one node, else nothing.
std::set<std::string> ImportedOps(const std::string& folder, std::string& op) {
  const Result<ModelInterface> interface = ReadModelInterface(folder + "/model.onnx");
  if (!interface.ok() || interface->ops.size() != 1) return {};
  op = interface->ops[0];
  WeightMap inputs;
  for (size_t i = 0; i < interface->inputs.size(); ++i) {
    const std::string path = folder + "/test_data_set_0/input_" + std::to_string(i) + ".pb";
    if (!interface->inputs[i].is_tensor) return {};
    Result<Tensor> tensor = ReadTensorFile(path);
    if (!tensor.ok()) return {};
    inputs.emplace(interface->inputs[i].name, std::move(tensor).value());
  }
  TensorStore tensors;
  ImportOptions options;
  options.input_contents = &inputs;
  const Result<Graph> graph = ImportOnnx(folder + "/model.onnx", options, &tensors);
  std::set<std::string> ops;
  if (!graph.ok()) return ops;
  for (const NodeId id : graph->order()) ops.insert(graph->node(id).op);
  return ops;
}

TEST(OnnxOperators, BecomeWhatTheTableSays) {
  const std::string folder = UnpackedNodeCases();
  if (folder.empty()) {
    GTEST_SKIP() << "no archive of ONNX's node cases: set WSI_TEST_DATA to the test data";
  }
  std::map<std::string, std::set<std::string>> said;
  for (const OnnxOperator& op : OnnxOperators()) {
    said[std::string(op.name)] = {op.becomes.begin(), op.becomes.end()};
  }
  std::map<std::string, std::set<std::string>> seen;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::string op;
    for (const std::string& made : ImportedOps(entry.path().string(), op)) seen[op].insert(made);
  }
  EXPECT_GT(seen.size(), 100U);
  for (const auto& [op, made] : seen) {
    std::string unsaid;
    for (const std::string& name : made) {  // Identity: a result that is an input.
      if (name != "Identity" && !said[op].contains(name)) unsaid += " " + name;
    }
    EXPECT_EQ(unsaid, "") << op << " becomes more than the table says";
  }
}

TEST(OnnxOperators, AtLeast95HaveGradients) {
  EXPECT_GE(std::ranges::count_if(OnnxOperators(), &OnnxOperator::is_differentiable), 95);
}

}  // namespace
}  // namespace wsi
