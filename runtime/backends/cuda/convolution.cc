// Convolutions and their gradients by cuDNN, channels last, in slabs of rows: none of more
// than 2^31 bytes, and of weight gradients none of more than half a million positions,
// since sums in fp32 lose bits. Slabs of weight gradients are added in fp32, in order. cuDNN
// has no fast engines for those of halves that give the same bits in every run: they are
// weight_grad.cu's, and where there is no Hopper, made of copies in fp32.
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

class ConvolutionKernel final : public Kernel {
 public:
  ConvolutionKernel(const Convolution& c, ConvolutionKind kind, Context& context)
      : c_(c), given_(c), kind_(kind), context_(context) {
    if (c.widened) given_.dtype = DType::kF32;
  }

  Status Prepare(const LaunchSpec& launch, bool bias) {
    layout_ = LayOutLibrary(c_, kind_);
    WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout_.library));
    const Bytes left = launch.workspace_bytes - layout_.library;
    for (const Part& part : layout_.parts) {
      Step step{.part = part};
      if (part.rows.output_rows > 0) {
        WSI_ASSIGN_OR_RETURN(
            step.plan, context_.cudnn.Plan(
                           ProblemOf(given_, part, kind_, launch.outputs[0].dtype, bias, left)));
      }
      steps_.push_back(step);
    }
    return {};
  }

  Status Run(const LaunchArguments& a) override {
    switch (kind_) {
      case ConvolutionKind::kForward:
        return RunSteps(a, a.inputs[0], a.inputs[1], a.outputs[0], Bias(a));
      case ConvolutionKind::kInputGrad:
        return RunSteps(a, a.outputs[0], a.inputs[1], a.inputs[0], nullptr);
      default: return RunSteps(a, a.inputs[0], a.outputs[0], a.inputs[1], nullptr);
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

  Status RunSteps(const LaunchArguments& a, const std::byte* x, const std::byte* w,
                  const std::byte* y, const std::byte* bias) {
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
            AddWeightGrad(a, step, x_at, y_at, !first, reinterpret_cast<float*>(Mutable(w))));
        first = false;
      } else {
        const ConvolutionOperands operands = {
            .x = Mutable(x_at), .w = Mutable(w), .y = Mutable(y_at), .bias = Mutable(bias)};
        WSI_RETURN_IF_ERROR(step.plan->Run(operands, WorkspaceAt<void>(a, layout_.library)));
      }
    }
    return {};
  }

  // The gradient of one part, added to what `w` has or written there.
  Status AddWeightGrad(const LaunchArguments& a, const Step& step, const std::byte* x,
                       const std::byte* y, bool add, float* w) {
    cudaStream_t stream = context_.stream;
    if (Copies()) {
      WSI_RETURN_IF_ERROR(
          Widen(c_.dtype, x, InputElements(step.part), WorkspaceAt<float>(a, layout_.x), stream));
      WSI_RETURN_IF_ERROR(
          Widen(c_.dtype, y, OutputElements(step.part), WorkspaceAt<float>(a, layout_.y), stream));
      x = WorkspaceAt<std::byte>(a, layout_.x);
      y = WorkspaceAt<std::byte>(a, layout_.y);
    }
    auto* partial = WorkspaceAt<float>(a);
    const ConvolutionOperands operands = {
        .x = Mutable(x), .w = add ? partial : w, .y = Mutable(y), .bias = nullptr};
    WSI_RETURN_IF_ERROR(step.plan->Run(operands, WorkspaceAt<void>(a, layout_.library)));
    return add ? AddTo(w, partial, c_.WeightElements(), stream) : Status();
  }

  Convolution c_;
  Convolution given_;  // With the type that cuDNN is given.
  ConvolutionKind kind_;
  Context& context_;
  std::vector<Step> steps_;
  LibraryLayout layout_;
};

KernelResult MakeDepthwise(const LaunchSpec& launch, const Window& window, ConvolutionKind kind,
                           Context& context) {
  switch (kind) {
    case ConvolutionKind::kForward: return CompileDepthwise(launch, window, context);
    case ConvolutionKind::kInputGrad: return CompileDepthwiseInputGrad(launch, window, context);
    default: return CompileDepthwiseWeightGrad(launch, window, context);
  }
}

KernelResult MakeConvolution(const LaunchSpec& launch, const LaunchCheck& check, Convolution c,
                             ConvolutionKind kind, Context& context) {
  WSI_RETURN_IF_ERROR(check.status());
  const bool bias = kind == ConvolutionKind::kForward && check.HasInput(2);
  switch (PathOf(c, kind, context.is_hopper)) {
    case ConvolutionPath::kDepthwise: return MakeDepthwise(launch, c.window, kind, context);
    case ConvolutionPath::kFolded: return MakeFoldedConvolution(launch, c, kind, bias, context);
    case ConvolutionPath::kWeightGrad: return MakeWeightGrad(launch, c.window, c.groups, context);
    case ConvolutionPath::kLibrary: break;
  }
  c.widened = kind == ConvolutionKind::kWeightGrad && c.dtype != DType::kF32;
  auto kernel = std::make_unique<ConvolutionKernel>(c, kind, context);
  const Status prepared = kernel->Prepare(launch, bias);
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
