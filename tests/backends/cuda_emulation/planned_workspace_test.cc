// What kernels of the CUDA backend ask for is what was planned for them: the training steps of
// whole networks, launch by launch, on the emulated backend. Kernels that want cuDNN, cuBLASLt,
// NVRTC or a driver end in other errors, behind the check of their workspace.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "compiler/ir/text.h"
#include "compiler/ops/op_def.h"
#include "compiler/pass/pass_list.h"
#include "compiler/pass/pass_manager.h"
#include "frontends/onnx/import.h"
#include "models/models.h"
#include "passes/pipeline.h"
#include "passes/workspace.h"
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
      result.reserve(values.size());
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

// What the kernel of `launch` cannot do without: what is planned, less what a library is given,
// which takes what there is. Weight gradients of halves are cut to what there is.
Bytes Needed(const GraphLaunch& launch, Bytes planned) {
  const auto with = [&](Bytes library) {
    return WorkspaceOf(launch.Spec(0), {.device = "cuda", .library_bytes = library}).value();
  };
  if (with(2) != with(1)) return with(1) - 1;
  return launch.node.op == "ConvWeightGrad" ? 0 : planned;
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
    if (planned > 0) seen_.insert(node.op);
    const Bytes needed = Needed(launch, planned);
    ASSERT_LE(needed, planned) << node.op;
    if (needed == 0) return;
    needs_.insert(node.op);
    const auto enough = backend_->Compile(launch.Spec(needed));
    if (!enough.ok()) {
      EXPECT_NE(enough.status().code(), ErrorCode::kInvalidInput) << enough.status().message();
    }
    const auto too_little = backend_->Compile(launch.Spec(needed - 1));
    ASSERT_FALSE(too_little.ok()) << node.op << " asks for less than its " << needed;
    EXPECT_EQ(too_little.status().code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(too_little.status().message(), HasSubstr(node.name));
    EXPECT_THAT(too_little.status().message(), HasSubstr(fmt::format("({} bytes)", needed)));
    EXPECT_THAT(too_little.status().message(), HasSubstr(fmt::format("({} bytes)", needed - 1)));
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
  std::set<std::string> seen_;   // Operators that had a workspace, and
  std::set<std::string> needs_;  // that cannot do without.
};

TEST_F(PlannedWorkspace, OfNetworksIsWhatTheirKernelsAsk) {
  CheckBuilt("resnet18", ModelNorm::kBatch, 224);
  CheckBuilt("resnet18", ModelNorm::kGroup, 96);
  CheckBuilt("mobilenet_v2", ModelNorm::kBatch, 4096);
  CheckBuilt("densenet121", ModelNorm::kFrozen, 64);
  CheckBuilt("resnet18", ModelNorm::kFixup, 1024);
  for (const char* op : {"AllFinite", "BatchNormStats", "BatchNormGradStats", "Conv", "Gemm",
                         "ConvInputGrad", "ConvWeightGrad", "GlobalAveragePool",
                         "GroupNormalization", "GroupNormGrad", "Pointwise", "SquaredNorm"}) {
    EXPECT_TRUE(seen_.contains(op)) << op;
  }
  for (const char* op : {"Conv", "ConvWeightGrad", "GroupNormGrad", "Pointwise"}) {
    EXPECT_TRUE(needs_.contains(op)) << op;
  }
}

// Sums over more terms than a library is given at a time.
TEST_F(PlannedWorkspace, OfLongSumsIsWhatTheirKernelsAsk) {
  TensorStore tensors;
  auto graph = ParseGraph(
      "wsir 1\ngraph \"long\"\n\n%a : f16[1000000,64] input\n%b : f16[1000000,48] input\n"
      "%x : f32[2,100000,30] input\n%y : f32[2,40,100000] input\n\n"
      "%ab : f32[64,48] = Gemm(%a, %b, _) {alpha=1.0, beta=1.0, dtype=\"f32\", transA=1, "
      "transB=0} forward \"gemm\"\n"
      "%yx : f32[2,40,30] = MatMul(%y, %x) forward \"matmul\"\n\noutputs %ab, %yx\n",
      &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  PassContext silent([](std::string_view, std::string_view) {});
  ASSERT_TRUE(SetWorkspaces(*graph, {.device = "cuda"}, silent).ok());
  for (const NodeId id : graph->order()) CheckNode(*graph, graph->node(id));
  EXPECT_EQ(needs_, (std::set<std::string>{"Gemm", "MatMul"}));
}

}  // namespace
}  // namespace wsi
