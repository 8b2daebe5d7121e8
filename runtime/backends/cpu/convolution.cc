#include "runtime/backends/cpu/convolution.h"

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/convolution_kernel.h"
#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {
namespace {

// Checks the launch's shapes and attributes. `x`, `w` and `y` are those of the
// forward convolution.
Result<Convolution> MakeConvolution(const LaunchSpec& launch, const Shape& x, const Shape& w,
                                    const Shape& y) {
  if (launch.attributes.Int("channels_last", 0) == 0) {
    return CompileError(launch, "wants channels_last=1; compile with the layout pass");
  }
  const DType stored = launch.inputs[0].dtype;
  if (stored != DType::kF32 && !IsHalf(stored)) {
    return CompileError(launch, "wants f32, f16 or bf16 operands");
  }
  const bool native = stored == DType::kBF16 && MultipliesBFloat16();
  Convolution c;
  c.stored = stored;
  c.computed = native ? stored : DType::kF32;
  WSI_ASSIGN_OR_RETURN(c.window, Window::Make(launch, x, y));
  c.spatial = x.rank() - 2;
  c.output_channels = y[-1];
  c.groups = launch.attributes.Int("group", 1);
  if (c.groups < 1 || c.window.channels % c.groups != 0 || c.output_channels % c.groups != 0) {
    return CompileError(launch, "group does not divide the channels");
  }
  std::vector<int64_t> filter = {c.output_channels};
  for (int i = 0; i < c.spatial; ++i) {
    const WindowAxis& axis = c.axis(i);
    const int64_t extent = (axis.kernel - 1) * axis.dilation + 1;
    const int64_t span = axis.input + axis.pad_begin + axis.pad_end - extent;
    if (span < 0 || span / axis.stride + 1 != axis.output) {
      return CompileError(launch,
                          "output " + y.ToString() + " does not follow from input " + x.ToString());
    }
    filter.push_back(axis.kernel);
  }
  filter.push_back(c.window.channels / c.groups);
  WSI_ASSIGN_OR_RETURN(const Shape expected, Shape::Make(filter));
  if (w != expected) {
    return CompileError(launch,
                        "weights are " + w.ToString() + ", expected " + expected.ToString());
  }
  return c;
}

// Whether oneDNN's weight gradient of bf16 products is right, as of oneDNN 2.6: it is not for
// padded volumes, and it reads behind the last axis where the input is shorter than the stride
// there, as a slab of few rows may be.
bool SumsBFloat16(const Convolution& c) {
  const WindowAxis& last = c.axis(c.spatial - 1);
  if (last.stride == 1) return c.spatial < 3;
  return c.spatial == 2 && last.input >= last.stride;
}

// oneDNN has fast weight gradients for either alone.
bool IsStridedAndDilated(const Convolution& c) {
  bool strided = false;
  bool dilated = false;
  for (int i = 0; i < c.spatial; ++i) {
    strided |= c.axis(i).stride > 1;
    dilated |= c.axis(i).kernel > 1 && c.axis(i).dilation > 1;
  }
  return strided && dilated;
}

KernelResult CompileKind(const LaunchSpec& launch, const Convolution& c, ConvolutionKind kind,
                         Context& context) {
  if (c.groups > 1 && c.groups == c.window.channels && c.groups == c.output_channels) {
    return CompileDepthwise(c, kind, context);
  }
  if (kind == ConvolutionKind::kWeightGrad && c.IsPointwise() && !c.IsConverted()) {
    return CompilePointwiseWeightGrad(c, context);
  }
  if (kind == ConvolutionKind::kWeightGrad && IsStridedAndDilated(c) &&
      c.window.output_positions() > 0) {
    return CompileTapWeightGrad(c, context);
  }
  const bool bias = kind == ConvolutionKind::kForward && HasInput(launch, 2);
  auto kernel = ConvolutionKernel::Make(c, kind, bias, context);
  if (!kernel.ok()) return CompileError(launch, kernel.status().message());
  return kernel;
}

}  // namespace

// Inputs: x, w, [b].
KernelResult CompileConv(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 1));
  const Shape& y = launch.outputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Convolution c,
                       MakeConvolution(launch, launch.inputs[0].shape, launch.inputs[1].shape, y));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, c.stored));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, c.stored, Shape{c.output_channels}));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, c.stored));
  return CompileKind(launch, c, ConvolutionKind::kForward, context);
}

// Inputs: dy, w.
KernelResult CompileConvInputGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Shape x, Shape::Make(launch.attributes.Ints("input_shape")));
  WSI_ASSIGN_OR_RETURN(const Convolution c,
                       MakeConvolution(launch, x, launch.inputs[1].shape, launch.inputs[0].shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, c.stored));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, c.stored, x));
  return CompileKind(launch, c, ConvolutionKind::kInputGrad, context);
}

// Inputs: x, w, which are dy and w of the convolution that this is the input gradient of.
KernelResult CompileConvTranspose(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Convolution c,
                       MakeConvolution(launch, launch.outputs[0].shape, launch.inputs[1].shape,
                                       launch.inputs[0].shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, c.stored));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, c.stored));
  return CompileKind(launch, c, ConvolutionKind::kInputGrad, context);
}

// Inputs: x, dy.
KernelResult CompileConvWeightGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Shape w, Shape::Make(launch.attributes.Ints("weight_shape")));
  WSI_ASSIGN_OR_RETURN(Convolution c,
                       MakeConvolution(launch, launch.inputs[0].shape, w, launch.inputs[1].shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, c.stored));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, w));
  if (!SumsBFloat16(c)) c.computed = DType::kF32;
  return CompileKind(launch, c, ConvolutionKind::kWeightGrad, context);
}

}  // namespace wsi::cpu
