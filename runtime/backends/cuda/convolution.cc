// Convolutions and their gradients by cuDNN, channels last, in slabs of rows: none of more
// than 2^31 bytes, and of weight gradients none of more than half a million positions,
// since sums in fp32 lose bits. Slabs of weight gradients are added in fp32, in order. cuDNN
// has no fast engines for those of halves that give the same bits in every run: they are
// weight_grad.cu's, and where there is no Hopper, made of copies in fp32.
#include <algorithm>
#include <vector>

#include "runtime/backends/cuda/convolution_parts.h"
#include "runtime/backends/cuda/depthwise.h"
#include "runtime/backends/cuda/folded_convolution.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/sums.h"
#include "runtime/backends/cuda/weight_grad.h"
#include "runtime/backends/cuda/widened.h"

namespace wsi::cuda {
namespace {

// `x`, `w` and `y` are those of the forward convolution.
Convolution ReadConvolution(LaunchCheck& check, const Shape& x, const Shape& w, const Shape& y) {
  Convolution c{.window = ReadWindow(check, x, y)};
  if (!check.status().ok()) return c;
  // Where there is one spatial axis, rows are columns: cuDNN wants two.
  c.first_axis = static_cast<size_t>(5 - x.rank());
  c.dtype = check.input_type(0);
  const Window& window = c.window;
  c.groups = check.Int("group", 1, std::max<int64_t>(window.in_channels, 1), 1);
  check.Require(window.in_channels % c.groups == 0 && window.out_channels % c.groups == 0,
                "group does not divide the channels");
  bool fits = w.rank() == x.rank() && w[0] == y[-1] && w[-1] == window.in_channels / c.groups;
  for (int a = 1; fits && a < x.rank() - 1; ++a) {
    fits = w[a] == window.kernel[static_cast<size_t>(a + 4 - x.rank())];
  }
  check.Require(fits, "the weight's shape is not [O, kernel_shape, I / group]");
  check.Require(c.dtype != DType::kF64, "computes in f32, f16 or bf16");
  return c;
}

class ConvolutionKernel final : public Kernel {
 public:
  ConvolutionKernel(const Convolution& c, ConvolutionKind kind, Context& context)
      : c_(c), given_(c), kind_(kind), context_(context) {
    if (c.widened) given_.dtype = DType::kF32;
  }

  Status Prepare(DType result, bool bias) {
    Bytes workspace = 0;
    Bytes x_bytes = 0;
    Bytes y_bytes = 0;
    for (const Part& part : Cut(c_, kind_)) {
      Step step{.part = part};
      if (part.rows.output_rows > 0) {
        WSI_ASSIGN_OR_RETURN(step.plan,
                             context_.cudnn.Plan(ProblemOf(given_, part, kind_, result, bias)));
        workspace = std::max(workspace, step.plan->workspace_bytes());
        if (Copies()) {
          x_bytes = std::max(x_bytes, InputElements(part) * Bytes{sizeof(float)});
          y_bytes = std::max(y_bytes, OutputElements(part) * Bytes{sizeof(float)});
        }
      }
      steps_.push_back(step);
    }
    const bool partial = kind_ == ConvolutionKind::kWeightGrad && steps_.size() > 1;
    partial_at_ = AlignUp(workspace, 256);
    x_at_ = partial_at_ + (partial ? AlignUp(c_.WeightElements() * Bytes{sizeof(float)}, 256) : 0);
    y_at_ = x_at_ + AlignUp(x_bytes, 256);
    return context_.scratch.Require(y_at_ + y_bytes);
  }

  Status Run(const LaunchArguments& a) override {
    switch (kind_) {
      case ConvolutionKind::kForward:
        return RunSteps(a.inputs[0], a.inputs[1], a.outputs[0], Bias(a));
      case ConvolutionKind::kInputGrad:
        return RunSteps(a.outputs[0], a.inputs[1], a.inputs[0], nullptr);
      default: return RunSteps(a.inputs[0], a.outputs[0], a.inputs[1], nullptr);
    }
  }

 private:
  struct Step {
    Part part;
    const ConvolutionPlan* plan = nullptr;  // Null: the gradient of these rows is 0.
  };

  bool Copies() const { return given_.dtype != c_.dtype; }
  int64_t InputElements(const Part& part) const {
    return part.images * part.rows.input_rows * c_.InputRow();
  }
  int64_t OutputElements(const Part& part) const {
    return part.images * part.rows.output_rows * c_.OutputRow();
  }

  static const std::byte* Bias(const LaunchArguments& a) {
    return a.inputs.size() > 2 ? a.inputs[2] : nullptr;
  }

  // cuDNN takes pointers to what it only reads without const.
  static void* Mutable(const std::byte* p) { return const_cast<std::byte*>(p); }

  Status RunSteps(const std::byte* x, const std::byte* w, const std::byte* y,
                  const std::byte* bias) {
    const Bytes element = DTypeBytes(c_.dtype);
    const RowAxis axis = c_.rows();
    bool first = true;
    for (const Step& step : steps_) {
      const RowSlab& rows = step.part.rows;
      const std::byte* x_at =
          x + (step.part.image * axis.input + rows.input_begin) * c_.InputRow() * element;
      const std::byte* y_at =
          y + (step.part.image * axis.output + rows.output_begin) * c_.OutputRow() * element;
      if (step.plan == nullptr) {
        WSI_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(
            Mutable(x_at), 0, static_cast<size_t>(rows.input_rows * c_.InputRow() * element),
            context_.stream));
      } else if (kind_ == ConvolutionKind::kWeightGrad) {
        WSI_RETURN_IF_ERROR(
            AddWeightGrad(step, x_at, y_at, !first, reinterpret_cast<float*>(Mutable(w))));
        first = false;
      } else {
        const ConvolutionOperands operands = {
            .x = Mutable(x_at), .w = Mutable(w), .y = Mutable(y_at), .bias = Mutable(bias)};
        WSI_RETURN_IF_ERROR(step.plan->Run(operands, context_.scratch.at<std::byte>(0)));
      }
    }
    return {};
  }

  // The gradient of one part, added to what `w` has or written there.
  Status AddWeightGrad(const Step& step, const std::byte* x, const std::byte* y, bool add,
                       float* w) {
    const Scratch& scratch = context_.scratch;
    cudaStream_t stream = context_.stream;
    if (Copies()) {
      WSI_RETURN_IF_ERROR(
          Widen(c_.dtype, x, InputElements(step.part), scratch.at<float>(x_at_), stream));
      WSI_RETURN_IF_ERROR(
          Widen(c_.dtype, y, OutputElements(step.part), scratch.at<float>(y_at_), stream));
      x = scratch.at<std::byte>(x_at_);
      y = scratch.at<std::byte>(y_at_);
    }
    auto* partial = scratch.at<float>(partial_at_);
    const ConvolutionOperands operands = {
        .x = Mutable(x), .w = add ? partial : w, .y = Mutable(y), .bias = nullptr};
    WSI_RETURN_IF_ERROR(step.plan->Run(operands, scratch.at<std::byte>(0)));
    return add ? AddTo(w, partial, c_.WeightElements(), stream) : Status();
  }

  Convolution c_;
  Convolution given_;  // With the type that cuDNN is given.
  ConvolutionKind kind_;
  Context& context_;
  std::vector<Step> steps_;
  // In scratch, behind the workspace: one part's weight gradient, copies of x and y.
  Bytes partial_at_ = 0, x_at_ = 0, y_at_ = 0;
};

KernelResult MakeConvolution(const LaunchSpec& launch, const LaunchCheck& check, Convolution c,
                             ConvolutionKind kind, Context& context) {
  WSI_RETURN_IF_ERROR(check.status());
  if (c.groups > 1 && c.groups == c.window.in_channels) {
    switch (kind) {
      case ConvolutionKind::kForward: return CompileDepthwise(launch, c.window, context);
      case ConvolutionKind::kInputGrad: return CompileDepthwiseInputGrad(launch, c.window, context);
      case ConvolutionKind::kWeightGrad:
        return CompileDepthwiseWeightGrad(launch, c.window, context);
    }
  }
  const bool bias = kind == ConvolutionKind::kForward && check.HasInput(2);
  if (IsFolded(c, kind, context)) return MakeFoldedConvolution(launch, c, kind, bias, context);
  if (kind == ConvolutionKind::kWeightGrad && c.dtype != DType::kF32) {
    if (context.is_hopper) return MakeWeightGrad(launch, c.window, c.groups, context);
    c.widened = true;
  }
  auto kernel = std::make_unique<ConvolutionKernel>(c, kind, context);
  const Status prepared = kernel->Prepare(launch.outputs[0].dtype, bias);
  if (!prepared.ok()) return prepared.WithContext(FaultText(launch, "no plan"));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace

// Inputs: x, w, [b].
KernelResult CompileConv(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFf", "F"));
  const Convolution c = ReadConvolution(check, check.input(0), check.input(1), check.output(0));
  check.PerChannel(2, 2, c.window.out_channels);
  for (size_t i = 1; i <= 2; ++i) check.InputIs(i, c.dtype);
  check.OutputIs(0, c.dtype);
  return MakeConvolution(launch, check, c, ConvolutionKind::kForward, context);
}

// Inputs: dy, w.
KernelResult CompileConvInputGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Convolution c = ReadConvolution(check, check.output(0), check.input(1), check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.InputIs(1, c.dtype);
  check.OutputIs(0, c.dtype);
  return MakeConvolution(launch, check, c, ConvolutionKind::kInputGrad, context);
}

// Inputs: x, w, which are dy and w of the convolution that this is the input gradient of.
KernelResult CompileConvTranspose(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Convolution c = ReadConvolution(check, check.output(0), check.input(1), check.input(0));
  check.InputIs(1, c.dtype);
  check.OutputIs(0, c.dtype);
  return MakeConvolution(launch, check, c, ConvolutionKind::kInputGrad, context);
}

// Inputs: x, dy.
KernelResult CompileConvWeightGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "S"));
  const Convolution c = ReadConvolution(check, check.input(0), check.output(0), check.input(1));
  check.InputIs(1, c.dtype);
  return MakeConvolution(launch, check, c, ConvolutionKind::kWeightGrad, context);
}

}  // namespace wsi::cuda
