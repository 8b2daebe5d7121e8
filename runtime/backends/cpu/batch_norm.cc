#include "runtime/backends/cpu/batch_norm.h"

#include <cmath>

#include "runtime/backends/cpu/channel_sums.h"
#include "runtime/backends/cpu/loops/normalization_loops.h"
#include "runtime/base/band.h"

namespace wsi::cpu {
namespace {

// Checks that input `tensor` has channels and that the inputs from `first` to `last`
// and all of `outputs` are vectors of them.
Status ExpectVectors(const LaunchSpec& launch, size_t tensor, std::initializer_list<size_t> inputs,
                     std::initializer_list<size_t> outputs) {
  const Shape& shape = launch.inputs[tensor].shape;
  if (shape.rank() < 2 || shape.ElementCount() == 0) {
    return CompileError(launch, "wants a non-empty tensor with a channel axis");
  }
  const Shape vector = {shape[-1]};
  for (const size_t i : inputs) {
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, DType::kF32, vector));
  }
  for (const size_t i : outputs) {
    WSI_RETURN_IF_ERROR(ExpectOutput(launch, i, DType::kF32, vector));
  }
  return {};
}

ChannelRows RowsOf(const Shape& shape) {
  return ChannelRows(shape.ElementCount() / shape[-1], shape[-1]);
}

// 1 / sqrt(var + epsilon), in fp64.
double InverseDeviation(float variance, double epsilon) {
  return 1.0 / std::sqrt(static_cast<double>(variance) + epsilon);
}

// What x - mean is multiplied by, forward and in gradients.
double Factor(const float* scale, const float* var, double epsilon, int64_t c) {
  return static_cast<double>(scale[c]) * InverseDeviation(var[c], epsilon);
}

// Where the ReLU's mask comes from in a gradient.
struct Mask {
  bool from_y = false;
  bool from_x = false;
};
// `y`: the operand that is the result; `made_of`: those that it is made of, with x, without it.
Result<Mask> MaskOf(const LaunchSpec& launch, size_t y, std::initializer_list<size_t> made_of) {
  WSI_RETURN_IF_ERROR(ExpectInput(launch, y, launch.inputs[0].dtype, launch.inputs[0].shape));
  if (launch.attributes.Int("relu", 0) == 0) return Mask{};
  if (HasInput(launch, y)) return Mask{.from_y = true};
  bool known = made_of.size() > 0;
  for (const size_t i : made_of) known = known && HasInput(launch, i);
  if (!known) return CompileError(launch, "relu=1 needs y");
  return Mask{.from_x = true};
}

template <typename T>
KernelResult Stats(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 2, 2));
  WSI_RETURN_IF_ERROR(ExpectVectors(launch, 0, {}, {0, 1}));
  const ChannelRows rows = RowsOf(launch.inputs[0].shape);
  WSI_RETURN_IF_ERROR(rows.Require(context.scratch));
  return MakeKernel([rows, &context](const LaunchArguments& a) {
    ChannelMoments(context, rows, a.input<T>(0));
    const auto mean = rows.totals(context.scratch, 0);
    const auto m2 = rows.totals(context.scratch, 1);
    const double inverse = 1.0 / static_cast<double>(rows.positions());
    for (size_t c = 0; c < mean.size(); ++c) {
      a.output<float>(0)[c] = static_cast<float>(mean[c]);
      a.output<float>(1)[c] = static_cast<float>(m2[c] * inverse);
    }
  });
}

// Inputs: x, scale, bias, mean, var, [residual].
template <typename T>
KernelResult Apply(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 5, 6, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectVectors(launch, 0, {1, 2, 3, 4}, {}));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 5, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>(), shape));
  const ChannelRows rows = RowsOf(shape);
  WSI_RETURN_IF_ERROR(rows.Require(context.scratch));
  const double epsilon = launch.attributes.Float("epsilon", 1e-5);
  const bool relu = launch.attributes.Int("relu", 0) != 0;
  return MakeKernel([rows, epsilon, relu, &context](const LaunchArguments& a) {
    const float* scale = a.input<float>(1);
    const float* var = a.input<float>(4);
    const float* mean =
        rows.FillVector(context.scratch, 0, [&](int64_t c) { return a.input<float>(3)[c]; });
    const float* factor = rows.FillVector(
        context.scratch, 1, [&](int64_t c) { return Factor(scale, var, epsilon, c); });
    const float* bias =
        rows.FillVector(context.scratch, 2, [&](int64_t c) { return a.input<float>(2)[c]; });
    const T* residual = a.input<T>(5);
    const auto& loops = GetNormalizationLoops().Of<T>();
    ForChunks(context.pool, rows.chunks(), [&](int64_t begin, int64_t end, int64_t, int) {
      const int64_t at = begin * rows.channels();
      loops.apply(a.input<T>(0) + at, residual == nullptr ? nullptr : residual + at, mean, factor,
                  bias, (end - begin) * rows.channels(), rows.period(), relu, a.output<T>(0) + at);
    });
  });
}

// Inputs: dy, x, mean, var, [y], [scale], [bias], [addend]; outputs: dscale, dbias, [dz].
template <typename T>
KernelResult GradStats(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 4, 8, 2, 3));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectVectors(launch, 0, {2, 3, 5, 6}, {0, 1}));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 7, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 2, StorageType<T>(), shape));
  WSI_ASSIGN_OR_RETURN(const Mask mask, MaskOf(launch, 4, {5, 6}));
  const ChannelRows rows = RowsOf(shape);
  WSI_RETURN_IF_ERROR(rows.Require(context.scratch));
  const double epsilon = launch.attributes.Float("epsilon", 1e-5);
  return MakeKernel([rows, epsilon, mask, &context](const LaunchArguments& a) {
    const float* var = a.input<float>(3);
    GradSumOperands<T> operands = {.dy = a.input<T>(0),
                                   .addend = a.input<T>(7),
                                   .x = a.input<T>(1),
                                   .y = mask.from_y ? a.input<T>(4) : nullptr,
                                   .dz = a.output<T>(2)};
    operands.mean =
        rows.FillVector(context.scratch, 0, [&](int64_t c) { return a.input<float>(2)[c]; });
    if (mask.from_x) {
      operands.factor = rows.FillVector(context.scratch, 1, [&](int64_t c) {
        return Factor(a.input<float>(5), var, epsilon, c);
      });
      operands.bias =
          rows.FillVector(context.scratch, 2, [&](int64_t c) { return a.input<float>(6)[c]; });
    }
    ChannelGradSums<T>(context, rows, operands);
    const auto sum = rows.totals(context.scratch, 0);
    const auto dot = rows.totals(context.scratch, 1);
    for (size_t c = 0; c < sum.size(); ++c) {
      a.output<float>(0)[c] = static_cast<float>(dot[c] * InverseDeviation(var[c], epsilon));
      a.output<float>(1)[c] = static_cast<float>(sum[c]);
    }
  });
}

// Per-channel operands of GradApply.
template <typename T>
GradApplyOperands<T> GradApplyVectors(const LaunchArguments& a, const ChannelRows& rows,
                                      const Scratch& scratch, double epsilon,
                                      double inverse_count) {
  const auto deviation = [&](int64_t c) { return InverseDeviation(a.input<float>(4)[c], epsilon); };
  const auto gain = [&](int64_t c) {
    return Factor(a.input<float>(2), a.input<float>(4), epsilon, c);
  };
  GradApplyOperands<T> v;
  v.mean = rows.FillVector(scratch, 0, [&](int64_t c) { return a.input<float>(3)[c]; });
  v.factor = rows.FillVector(scratch, 1, gain);
  v.shift = rows.FillVector(scratch, 2, [&](int64_t c) {
    return gain(c) * static_cast<double>(a.input<float>(6)[c]) * inverse_count;
  });
  v.slope = rows.FillVector(scratch, 3, [&](int64_t c) {
    return gain(c) * deviation(c) * static_cast<double>(a.input<float>(5)[c]) * inverse_count;
  });
  return v;
}

// Inputs: dy, x, scale, mean, var, dscale, dbias, [y], [bias].
template <typename T>
KernelResult GradApply(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 7, 9, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectVectors(launch, 0, {2, 3, 4, 5, 6, 8}, {}));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>(), shape));
  WSI_ASSIGN_OR_RETURN(const Mask mask, MaskOf(launch, 7, {8}));
  const ChannelRows rows = RowsOf(shape);
  WSI_RETURN_IF_ERROR(rows.Require(context.scratch));
  const double epsilon = launch.attributes.Float("epsilon", 1e-5);
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band, BandOfWhole::Read(launch.attributes, shape));
  const double inverse_count = 1.0 / (static_cast<double>(band.CountInWhole(rows.positions())));
  return MakeKernel([rows, epsilon, mask, inverse_count, &context](const LaunchArguments& a) {
    GradApplyOperands<T> whole =
        GradApplyVectors<T>(a, rows, context.scratch, epsilon, inverse_count);
    if (mask.from_x) {
      whole.bias =
          rows.FillVector(context.scratch, 4, [&](int64_t c) { return a.input<float>(8)[c]; });
    }
    const auto& loops = GetNormalizationLoops().Of<T>();
    ForChunks(context.pool, rows.chunks(), [&](int64_t begin, int64_t end, int64_t, int) {
      const int64_t at = begin * rows.channels();
      GradApplyOperands<T> operands = whole;
      operands.dy = a.input<T>(0) + at;
      operands.x = a.input<T>(1) + at;
      operands.y = mask.from_y ? a.input<T>(7) + at : nullptr;
      operands.dx = a.output<T>(0) + at;
      loops.grad_apply(operands, (end - begin) * rows.channels(), rows.period());
    });
  });
}

// Inputs: dy, scale, var, [y].
template <typename T>
KernelResult GradFrozen(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 4, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectVectors(launch, 0, {1, 2}, {}));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>(), shape));
  WSI_ASSIGN_OR_RETURN(const Mask mask, MaskOf(launch, 3, {}));
  const ChannelRows rows = RowsOf(shape);
  WSI_RETURN_IF_ERROR(rows.Require(context.scratch));
  const double epsilon = launch.attributes.Float("epsilon", 1e-5);
  return MakeKernel([rows, epsilon, mask, &context](const LaunchArguments& a) {
    const float* factor = rows.FillVector(context.scratch, 0, [&](int64_t c) {
      return Factor(a.input<float>(1), a.input<float>(2), epsilon, c);
    });
    const T* y = mask.from_y ? a.input<T>(3) : nullptr;
    const auto& loops = GetNormalizationLoops().Of<T>();
    ForChunks(context.pool, rows.chunks(), [&](int64_t begin, int64_t end, int64_t, int) {
      const int64_t at = begin * rows.channels();
      loops.grad_scale(a.input<T>(0) + at, y == nullptr ? nullptr : y + at, factor,
                       (end - begin) * rows.channels(), rows.period(), a.output<T>(0) + at);
    });
  });
}

}  // namespace

KernelResult CompileBatchNormStats(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(Stats);
}
KernelResult CompileBatchNormApply(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(Apply);
}
KernelResult CompileBatchNormGradStats(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(GradStats);
}
KernelResult CompileBatchNormGradApply(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(GradApply);
}
KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(GradFrozen);
}

}  // namespace wsi::cpu
