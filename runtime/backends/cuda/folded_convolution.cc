#include "runtime/backends/cuda/folded_convolution.h"

#include <algorithm>
#include <utility>

#include "runtime/backends/cuda/folding.h"
#include "runtime/backends/cuda/sums.h"
#include "runtime/backends/cuda/weight_grad.h"

namespace wsi::cuda {
namespace {

constexpr Bytes kMostFoldedBytes = Bytes{256} << 20;  // Of a slab's input.
constexpr int64_t kMostChannels = 4;
constexpr int64_t kMostFoldedChannels = 1024;

class FoldedConvolution final : public Kernel {
 public:
  FoldedConvolution(const Convolution& c, ConvolutionKind kind, Context& context)
      : c_(c), folding_(FoldingOf(c.window)), folded_(c), kind_(kind), context_(context) {
    folded_.window = folding_.to;
  }

  Status Prepare(DType result, bool bias) {
    const RowAxis axis = folded_.rows();
    const Bytes row_bytes =
        std::max(folded_.InputRow(), folded_.OutputRow() / 8) * DTypeBytes(c_.dtype);
    const int64_t rows = std::clamp<int64_t>(kMostFoldedBytes / row_bytes, 1, axis.output);
    Bytes x_bytes = 0;
    Bytes workspace = 0;
    for (int64_t n = 0; n < c_.window.batch; ++n) {
      for (int64_t row = 0; row < axis.output; row += rows) {
        Step step;
        step.part = {OutputRows(axis, row, std::min(row + rows, axis.output)), n};
        x_bytes = std::max(x_bytes,
                           step.part.rows.input_rows * folded_.InputRow() * DTypeBytes(c_.dtype));
        if (kind_ == ConvolutionKind::kForward) {
          WSI_ASSIGN_OR_RETURN(
              step.plan, context_.cudnn.Plan(ProblemOf(folded_, step.part, kind_, result, bias)));
          workspace = std::max(workspace, step.plan->workspace_bytes());
        } else {
          WSI_ASSIGN_OR_RETURN(step.grad, WeightGrad::Make(SlabWindow(step.part), 1, c_.dtype));
          workspace = std::max(workspace, step.grad.scratch_bytes());
        }
        steps_.push_back(std::move(step));
      }
    }
    weight_at_ = AlignUp(workspace, 256);
    x_at_ = weight_at_ + AlignUp(folded_.WeightElements() * Bytes{sizeof(float)}, 256);
    return context_.scratch.Require(x_at_ + x_bytes);
  }

  Status Run(const LaunchArguments& a) override {
    if (kind_ == ConvolutionKind::kForward) {
      std::byte* weight = context_.scratch.at<std::byte>(weight_at_);
      WSI_RETURN_IF_ERROR(FoldWeight(folding_, a.inputs[1], weight, context_.stream));
      std::byte* bias = a.inputs.size() > 2 ? const_cast<std::byte*>(a.inputs[2]) : nullptr;
      for (const Step& step : steps_) {
        WSI_ASSIGN_OR_RETURN(std::byte * x, Fold(step.part, a.inputs[0]));
        const ConvolutionOperands operands = {
            .x = x, .w = weight, .y = a.outputs[0] + OutputAt(step.part), .bias = bias};
        WSI_RETURN_IF_ERROR(step.plan->Run(operands, context_.scratch.at<std::byte>(0)));
      }
      return {};
    }
    for (const Step& step : steps_) {
      WSI_ASSIGN_OR_RETURN(const std::byte* x, Fold(step.part, a.inputs[0]));
      auto* weight = context_.scratch.at<float>(weight_at_);
      WSI_RETURN_IF_ERROR(step.grad.Run(x, a.inputs[1] + OutputAt(step.part), weight,
                                        context_.scratch.at<float>(0), context_.stream));
      WSI_RETURN_IF_ERROR(UnfoldWeight(folding_, weight, &step != &steps_.front(),
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

  Window SlabWindow(const Part& part) const {
    Window w = folding_.to;
    w.batch = 1;
    w.in[1] = part.rows.input_rows;
    w.out[1] = part.rows.output_rows;
    w.pad_begin[1] = part.rows.pad_begin;
    w.pad_end[1] = part.rows.pad_end;
    return w;
  }
  Bytes OutputAt(const Part& part) const {
    return (part.image * c_.window.out[1] + part.rows.output_begin) * c_.OutputRow() *
           DTypeBytes(c_.dtype);
  }
  // A slab's input, folded in scratch.
  Result<std::byte*> Fold(const Part& part, const std::byte* x) {
    const Bytes image = c_.window.in[1] * c_.InputRow() * DTypeBytes(c_.dtype);
    auto* to = context_.scratch.at<std::byte>(x_at_);
    WSI_RETURN_IF_ERROR(FoldInput(folding_, x + part.image * image, part.rows.input_begin,
                                  part.rows.input_rows, to, context_.stream));
    return to;
  }

  Convolution c_;
  Folding folding_;
  Convolution folded_;
  ConvolutionKind kind_;
  Context& context_;
  std::vector<Step> steps_;
  // In scratch, behind the workspace: the folded weight or its gradient, a slab's input.
  Bytes weight_at_ = 0, x_at_ = 0;
};

}  // namespace

bool IsFolded(const Convolution& c, ConvolutionKind kind, const Context& context) {
  const Window& w = c.window;
  if (c.dtype == DType::kF32 || c.groups > 1 || c.first_axis != 1) return false;
  if (kind == ConvolutionKind::kInputGrad) return false;
  if (kind == ConvolutionKind::kWeightGrad && !context.is_hopper) return false;
  const int64_t block = w.stride[1] * w.stride[2];
  if (w.in_channels > kMostChannels || block == 1) return false;
  if (w.in_channels * block > kMostFoldedChannels || w.batch * w.OutPositions() == 0) return false;
  if (w.dilation[1] > 1 || w.dilation[2] > 1) return false;
  const Window folded = FoldingOf(w).to;
  // Windows wholly in padding have no slabs.
  return folded.in[1] > 0 && folded.in[2] > 0 && folded.pad_begin[1] < folded.kernel[1] &&
         folded.pad_end[1] < folded.kernel[1] && folded.pad_begin[2] < folded.kernel[2] &&
         folded.pad_end[2] < folded.kernel[2];
}

KernelResult MakeFoldedConvolution(const LaunchSpec& launch, const Convolution& c,
                                   ConvolutionKind kind, bool bias, Context& context) {
  auto kernel = std::make_unique<FoldedConvolution>(c, kind, context);
  const Status prepared = kernel->Prepare(launch.outputs[0].dtype, bias);
  if (!prepared.ok()) return prepared.WithContext(FaultText(launch, "no plan"));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace wsi::cuda
