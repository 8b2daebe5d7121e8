#include "runtime/backends/cuda/folded_convolution.h"

#include <optional>
#include <utility>

#include "runtime/backends/cuda/folding.h"
#include "runtime/backends/cuda/sums.h"
#include "runtime/backends/cuda/weight_grad.h"

namespace wsi::cuda {
namespace {

class FoldedConvolution final : public Kernel {
 public:
  FoldedConvolution(const Convolution& c, ConvolutionKind kind, Context& context)
      : c_(c), layout_(LayOutFolded(c)), kind_(kind), context_(context) {}

  Status Prepare(const LaunchSpec& launch, bool bias) {
    WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout_.rest));
    const Bytes left = launch.workspace_bytes - layout_.rest;
    for (const Part& part : layout_.parts) {
      Step step{.part = part, .plan = nullptr, .grad = {}};
      if (kind_ == ConvolutionKind::kForward) {
        const DType result = launch.outputs[0].dtype;
        WSI_ASSIGN_OR_RETURN(step.plan, context_.cudnn.Plan(ProblemOf(layout_.folded, part, kind_,
                                                                      result, bias, left)));
      } else {
        WSI_ASSIGN_OR_RETURN(
            step.grad, WeightGrad::Make(layout_.WindowOf(part), 1, c_.dtype, std::nullopt, left));
        WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout_.rest + step.grad.workspace_bytes()));
      }
      steps_.push_back(std::move(step));
    }
    return {};
  }

  Status Run(const LaunchArguments& a) override {
    if (kind_ == ConvolutionKind::kForward) {
      std::byte* weight = WorkspaceAt<std::byte>(a);
      WSI_RETURN_IF_ERROR(FoldWeight(layout_.folding, a.inputs[1], weight, context_.stream));
      std::byte* bias = a.inputs.size() > 2 ? const_cast<std::byte*>(a.inputs[2]) : nullptr;
      for (const Step& step : steps_) {
        WSI_ASSIGN_OR_RETURN(std::byte * x, Fold(step.part, a));
        const ConvolutionOperands operands = {
            .x = x, .w = weight, .y = a.outputs[0] + OutputAt(step.part), .bias = bias};
        WSI_RETURN_IF_ERROR(step.plan->Run(operands, WorkspaceAt<void>(a, layout_.rest)));
      }
      return {};
    }
    for (const Step& step : steps_) {
      WSI_ASSIGN_OR_RETURN(const std::byte* x, Fold(step.part, a));
      auto* weight = WorkspaceAt<float>(a);
      WSI_RETURN_IF_ERROR(step.grad.Run(x, a.inputs[1] + OutputAt(step.part), weight,
                                        WorkspaceAt<float>(a, layout_.rest), context_.stream));
      WSI_RETURN_IF_ERROR(UnfoldWeight(layout_.folding, weight, &step != &steps_.front(),
                                       a.output<float>(0), context_.stream));
    }
    return {};
  }

 private:
  struct Step {
    Part part;
    const ConvolutionPlan* plan = nullptr;  // Forward.
    WeightGrad grad;
  };

  Bytes OutputAt(const Part& part) const {
    return (part.image * c_.window.out[1] + part.rows.output_begin) * c_.OutputRow() *
           DTypeBytes(c_.dtype);
  }
  // A slab's input, folded in the workspace.
  Result<std::byte*> Fold(const Part& part, const LaunchArguments& a) {
    const Bytes image = c_.window.in[1] * c_.InputRow() * DTypeBytes(c_.dtype);
    auto* to = WorkspaceAt<std::byte>(a, layout_.x);
    WSI_RETURN_IF_ERROR(FoldInput(layout_.folding, a.inputs[0] + part.image * image,
                                  part.rows.input_begin, part.rows.input_rows, to,
                                  context_.stream));
    return to;
  }

  Convolution c_;
  FoldedLayout layout_;
  ConvolutionKind kind_;
  Context& context_;
  std::vector<Step> steps_;
};

}  // namespace

KernelResult MakeFoldedConvolution(const LaunchSpec& launch, const Convolution& c,
                                   ConvolutionKind kind, bool bias, Context& context) {
  auto kernel = std::make_unique<FoldedConvolution>(c, kind, context);
  const Status prepared = kernel->Prepare(launch, bias);
  if (!prepared.ok()) return prepared.WithContext(FaultText(launch, "no plan"));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace wsi::cuda
