// What kernels of the CUDA backend ask for is what was planned for them: the training steps of
// whole networks, launch by launch, on the emulated backend. Kernels that want cuDNN, cuBLASLt,
// NVRTC or a driver end in other errors, behind the check of their workspace.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "compiler/ops/op_def.h"
#include "compiler/pass/pass_list.h"
#include "compiler/pass/pass_manager.h"
#include "frontends/onnx/import.h"
#include "models/models.h"
#include "passes/pipeline.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/workspace/workspace.h"
#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// A launch of a graph.
struct GraphLaunch {
  const Node& node;
  std::vector<OperandSpec> inputs;
  std::vector<OperandSpec> outputs;

  GraphLaunch(const Graph& graph, const Node& of) : node(of) {
    const auto specs = [&](const std::vector<ValueId>& values) {
      std::vector<OperandSpec> result;
      for (const ValueId v : values) {
        result.push_back(v.valid() ? OperandSpec{true, graph.value(v).dtype, graph.value(v).shape}
                                   : OperandSpec());
      }
      return result;
    };
    inputs = specs(of.inputs);
    outputs = specs(of.outputs);
  }
  LaunchSpec Spec(Bytes workspace) const {
    return {.op = node.op,
            .node = node.name,
            .attributes = node.attributes,
            .inputs = inputs,
            .outputs = outputs,
            .workspace_bytes = workspace};
  }
};

// Of these a part is a library's, which takes what there is, or is cut to what there is.
bool Adapts(const Node& node) {
  return node.op.starts_with("Conv") || node.op == "Gemm" || node.op == "MatMul";
}

class PlannedWorkspace : public testing::Test {
 protected:
  // The launches of `path` as a training step.
  void CheckModel(const std::string& path, int64_t side, const std::string& precision) {
    SCOPED_TRACE(fmt::format("{} at {} in {}", path, side, precision));
    TensorStore tensors;
    ImportOptions import;
    import.input_size = {side, side};
    auto graph = ImportOnnx(path, import, &tensors);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const std::string half =
        precision == "fp32" ? "" : fmt::format("precision{{precision=\"{}\"}},", precision);
    const auto passes = ParsePassList(
        fmt::format("simplify,norm,layout,loss,autodiff{{loss_scale={}}},optimizer{{kind=\"adam\","
                    "clip_norm=1.0}},{}fuse,workspace{{device=\"cuda\"}}",
                    precision == "fp16" ? 1 : 0, half),
        AllPasses());
    ASSERT_TRUE(passes.ok()) << passes.status().message();
    PassContext silent([](std::string_view, std::string_view) {});
    const Status ran = RunPasses(*graph, *passes, {}, silent);
    ASSERT_TRUE(ran.ok()) << ran.message();
    for (const NodeId id : graph->order()) CheckNode(*graph, graph->node(id));
  }

  void CheckNode(const Graph& graph, const Node& node) {
    if (FindOp(node.op)->lowers_to != LowersTo::kLaunch || FindOp(node.op)->is_view) return;
    if (node.op == "AllReduce") return;  // The ranks'.
    const GraphLaunch launch(graph, node);
    const Bytes planned = node.workspace_bytes;
    const auto kernel = backend_->Compile(launch.Spec(planned));
    if (!kernel.ok()) {
      EXPECT_NE(kernel.status().code(), ErrorCode::kInvalidInput) << kernel.status().message();
    }
    if (planned == 0) return;
    seen_.insert(node.op);
    if (Adapts(node)) return;
    const auto short_of_one = backend_->Compile(launch.Spec(planned - 1));
    ASSERT_FALSE(short_of_one.ok()) << node.op << " asks for less than its " << planned;
    EXPECT_EQ(short_of_one.status().code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(short_of_one.status().message(), HasSubstr(node.name));
    EXPECT_THAT(short_of_one.status().message(), HasSubstr(fmt::format("({} bytes)", planned)));
    EXPECT_THAT(short_of_one.status().message(), HasSubstr(fmt::format("({} bytes)", planned - 1)));
  }

  void CheckBuilt(std::string_view name, ModelNorm norm, int64_t side) {
    const TempFolder folder;
    ModelOptions options;
    options.norm = norm;
    options.classes = 10;
    const auto built = BuildModel(name, options);
    ASSERT_TRUE(built.ok());
    ASSERT_TRUE(built->writer.Write(folder.Path("m.onnx"), {}).ok());
    for (const char* precision : {"fp32", "fp16", "bf16"}) {
      CheckModel(folder.Path("m.onnx"), side, precision);
    }
  }

  std::unique_ptr<Backend> backend_ = MakeCudaBackend({}).value();
  std::set<std::string> seen_;  // Operators that had a workspace.
};

TEST_F(PlannedWorkspace, OfNetworksIsWhatTheirKernelsAsk) {
  CheckBuilt("resnet18", ModelNorm::kBatch, 224);
  CheckBuilt("resnet18", ModelNorm::kGroup, 96);
  CheckBuilt("mobilenet_v2", ModelNorm::kBatch, 4096);
  CheckBuilt("densenet121", ModelNorm::kFrozen, 64);
  for (const char* op : {"AllFinite", "BatchNormStats", "BatchNormGradStats", "Conv", "Gemm",
                         "ConvInputGrad", "ConvWeightGrad", "GlobalAveragePool",
                         "GroupNormalization", "GroupNormGrad", "SquaredNorm"}) {
    EXPECT_TRUE(seen_.contains(op)) << op;
  }
}

}  // namespace
}  // namespace wsi
