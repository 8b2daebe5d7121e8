#include "runtime/backends/cpu/pointwise.h"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "runtime/backends/cpu/broadcast.h"
#include "runtime/backends/cpu/element_types.h"
#include "runtime/backends/cpu/integer_loops.h"
#include "runtime/backends/cpu/loops/pointwise_loops.h"
#include "runtime/backends/cpu/stored_run.h"
#include "runtime/base/pointwise_program.h"

namespace wsi::cpu {
namespace {

template <typename R, typename Loop>
struct Entry {
  std::string_view op;
  Loop PointwiseLoopsOf<R>::*loop;
};
template <typename R>
using UnaryLoop = typename PointwiseLoopsOf<R>::UnaryLoop;
template <typename R>
using BinaryLoop = typename PointwiseLoopsOf<R>::BinaryLoop;
template <typename R>
using CompareLoop = typename PointwiseLoopsOf<R>::CompareLoop;

template <typename R>
constexpr Entry<R, UnaryLoop<R>> kUnary[] = {
    {"Abs", &PointwiseLoopsOf<R>::abs},
    {"Ceil", &PointwiseLoopsOf<R>::ceil},
    {"Clip", &PointwiseLoopsOf<R>::clip},
    {"Cos", &PointwiseLoopsOf<R>::cos},
    {"Cosh", &PointwiseLoopsOf<R>::cosh},
    {"Elu", &PointwiseLoopsOf<R>::elu},
    {"Erf", &PointwiseLoopsOf<R>::erf},
    {"Exp", &PointwiseLoopsOf<R>::exp},
    {"Floor", &PointwiseLoopsOf<R>::floor},
    {"Gelu", &PointwiseLoopsOf<R>::gelu},
    {"HardSigmoid", &PointwiseLoopsOf<R>::hard_sigmoid},
    {"HardSwish", &PointwiseLoopsOf<R>::hard_swish},
    {"LeakyRelu", &PointwiseLoopsOf<R>::leaky_relu},
    {"Log", &PointwiseLoopsOf<R>::log},
    {"Neg", &PointwiseLoopsOf<R>::neg},
    {"Not", &PointwiseLoopsOf<R>::logical_not},
    {"Reciprocal", &PointwiseLoopsOf<R>::reciprocal},
    {"Relu", &PointwiseLoopsOf<R>::relu},
    {"Round", &PointwiseLoopsOf<R>::round},
    {"Sigmoid", &PointwiseLoopsOf<R>::sigmoid},
    {"Sign", &PointwiseLoopsOf<R>::sign},
    {"Sin", &PointwiseLoopsOf<R>::sin},
    {"Sinh", &PointwiseLoopsOf<R>::sinh},
    {"Softplus", &PointwiseLoopsOf<R>::softplus},
    {"Sqrt", &PointwiseLoopsOf<R>::sqrt},
    {"Tanh", &PointwiseLoopsOf<R>::tanh},
};
template <typename R>
constexpr Entry<R, BinaryLoop<R>> kBinary[] = {
    {"AccumulateGrad", &PointwiseLoopsOf<R>::add},
    {"Add", &PointwiseLoopsOf<R>::add},
    {"And", &PointwiseLoopsOf<R>::logical_and},
    {"ClipGrad", &PointwiseLoopsOf<R>::clip_grad},
    {"Div", &PointwiseLoopsOf<R>::div},
    {"EluGrad", &PointwiseLoopsOf<R>::elu_grad},
    {"Equal", &PointwiseLoopsOf<R>::equal_truth},
    {"ErfGrad", &PointwiseLoopsOf<R>::erf_grad},
    {"GeluGrad", &PointwiseLoopsOf<R>::gelu_grad},
    {"Greater", &PointwiseLoopsOf<R>::greater_truth},
    {"HardSigmoidGrad", &PointwiseLoopsOf<R>::hard_sigmoid_grad},
    {"HardSwishGrad", &PointwiseLoopsOf<R>::hard_swish_grad},
    {"LeakyReluGrad", &PointwiseLoopsOf<R>::leaky_relu_grad},
    {"Less", &PointwiseLoopsOf<R>::less_truth},
    {"Max", &PointwiseLoopsOf<R>::max},
    {"Min", &PointwiseLoopsOf<R>::min},
    {"Mod", &PointwiseLoopsOf<R>::mod},
    {"MovingAverage", &PointwiseLoopsOf<R>::moving_average},
    {"Mul", &PointwiseLoopsOf<R>::mul},
    {"Or", &PointwiseLoopsOf<R>::logical_or},
    {"Pow", &PointwiseLoopsOf<R>::pow},
    {"ReluGrad", &PointwiseLoopsOf<R>::relu_grad},
    {"SigmoidGrad", &PointwiseLoopsOf<R>::sigmoid_grad},
    {"Sub", &PointwiseLoopsOf<R>::sub},
    {"TanhGrad", &PointwiseLoopsOf<R>::tanh_grad},
};
template <typename R>
constexpr Entry<R, CompareLoop<R>> kCompare[] = {
    {"Equal", &PointwiseLoopsOf<R>::equal},
    {"Greater", &PointwiseLoopsOf<R>::greater},
    {"Less", &PointwiseLoopsOf<R>::less},
};

template <typename R, typename Loop, size_t kCount>
Loop Find(const Entry<R, Loop> (&table)[kCount], std::string_view op) {
  for (const Entry<R, Loop>& entry : table) {
    if (entry.op == op) return GetPointwiseLoops().Of<R>().*entry.loop;
  }
  return nullptr;
}

// The numbers of the launch's attributes.
template <typename R>
PointwiseNumbers<R> ReadNumbers(const LaunchSpec& launch) {
  const PointwiseOp* op = FindPointwiseOp(launch.op);
  WSI_CHECK(op != nullptr);
  std::array<double, 2> numbers = {};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const PointwiseNumber& number = op->numbers[i];
    if (number.name.empty()) continue;
    numbers[i] = launch.attributes.Float(number.name, number.otherwise);
  }
  return LoopNumbers<R>(numbers);
}

// The runs of a two-operand operator whose operands have one type.
Result<Broadcast> BinaryRuns(const LaunchSpec& launch) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, launch.inputs[0].dtype));
  const Shape shapes[] = {launch.inputs[0].shape, launch.inputs[1].shape};
  return Broadcast::Make(launch, shapes, launch.outputs[0].shape);
}

template <typename T>
KernelResult CompileIntegerBinary(const LaunchSpec& launch, Context& context) {
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype));
  const bool fmod = launch.op == "Mod" && launch.attributes.Int("fmod", 0) == 1;
  const auto loop = FindIntegerBinary<T>(fmod ? "Fmod" : launch.op);
  if (loop == nullptr) return CompileError(launch, "has no integer kernel");
  return MakeKernel([runs, loop, &context](const LaunchArguments& a) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
      loop(a.input<T>(0) + at[0], runs.inner_stride(0), a.input<T>(1) + at[1], runs.inner_stride(1),
           n, a.output<T>(0) + out);
    });
  });
}

template <typename T>
KernelResult CompileIntegerCompare(const LaunchSpec& launch, Context& context) {
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kBool));
  const auto loop = FindIntegerCompare<T>(launch.op);
  if (loop == nullptr) return CompileError(launch, "has no integer kernel");
  return MakeKernel([runs, loop, &context](const LaunchArguments& a) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
      loop(a.input<T>(0) + at[0], runs.inner_stride(0), a.input<T>(1) + at[1], runs.inner_stride(1),
           n, a.output<uint8_t>(0) + out);
    });
  });
}

template <typename T>
KernelResult CompileIntegerUnary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, launch.inputs[0].shape));
  const auto loop = FindIntegerUnary<T>(launch.op);
  if (loop == nullptr) return CompileError(launch, "has no integer kernel");
  const Chunks chunks = ChunksOf(launch.inputs[0].shape.ElementCount(), 1, kGrain);
  return MakeKernel([chunks, loop, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loop(a.input<T>(0) + begin, end - begin, a.output<T>(0) + begin);
    });
  });
}

template <typename R>
KernelResult CompileFloatUnary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, launch.inputs[0].shape));
  const PointwiseNumbers<R> numbers = ReadNumbers<R>(launch);
  const UnaryLoop<R> loop = FindUnaryLoop<R>(launch.op);
  const DType stored = launch.inputs[0].dtype;
  const Chunks chunks = ChunksOf(launch.inputs[0].shape.ElementCount(), 1, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      const WidenedRun<R> x(stored, a.inputs[0], begin, 1);
      const NarrowedRun<R> y(stored, a.outputs[0], begin);
      ForBlocks(stored, end - begin, [&](int64_t at, int64_t n) {
        R buffer[kBlock];
        R* out = y.At(at, buffer);
        loop(x.Read(at, n, buffer), n, numbers, out);
        y.Write(at, n, out);
      });
    });
  });
}

template <typename R>
KernelResult CompileFloatBinary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype));
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  const PointwiseNumbers<R> numbers = ReadNumbers<R>(launch);
  const BinaryLoop<R> loop = FindBinaryLoop<R>(launch.op);
  const DType stored = launch.inputs[0].dtype;
  return MakeKernel([=, &context](const LaunchArguments& arguments) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& from, int64_t to, int64_t count) {
      const WidenedRun<R> a(stored, arguments.inputs[0], from[0], runs.inner_stride(0));
      const WidenedRun<R> b(stored, arguments.inputs[1], from[1], runs.inner_stride(1));
      const NarrowedRun<R> y(stored, arguments.outputs[0], to);
      ForBlocks(stored, count, [&](int64_t at, int64_t n) {
        R buffers[2][kBlock];
        R* out = y.At(at, buffers[0]);
        const R* left = a.Read(at, n, buffers[0]);
        loop(left, a.stride(), b.Read(at, n, buffers[1]), b.stride(), n, numbers, out);
        y.Write(at, n, out);
      });
    });
  });
}

template <typename R>
KernelResult CompileFloatCompare(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kBool));
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  const CompareLoop<R> loop = Find(kCompare<R>, launch.op);
  const DType stored = launch.inputs[0].dtype;
  return MakeKernel([=, &context](const LaunchArguments& arguments) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& from, int64_t to, int64_t count) {
      const WidenedRun<R> a(stored, arguments.inputs[0], from[0], runs.inner_stride(0));
      const WidenedRun<R> b(stored, arguments.inputs[1], from[1], runs.inner_stride(1));
      ForBlocks(stored, count, [&](int64_t at, int64_t n) {
        R buffers[2][kBlock];
        const R* left = a.Read(at, n, buffers[0]);
        loop(left, a.stride(), b.Read(at, n, buffers[1]), b.stride(), n,
             arguments.output<uint8_t>(0) + to + at);
      });
    });
  });
}

// compile(std::type_identity<T>()) for the type that the first operand is computed in:
// integers as they are, halves as float.
template <typename F>
KernelResult ForNumberType(const LaunchSpec& launch, const F& compile) {
  if (launch.inputs[0].dtype == DType::kBool && launch.op != "Equal") {
    return CompileError(launch, "input 0 is bool, wants numbers");
  }
  return ForElementType(launch.inputs[0].dtype, [&]<typename T>(std::type_identity<T> type) {
    if constexpr (kIsHalf<T>) {
      return compile(std::type_identity<float>());
    } else {
      return compile(type);
    }
  });
}

}  // namespace

template <typename R>
UnaryLoop<R> FindUnaryLoop(std::string_view op) {
  return Find(kUnary<R>, op);
}
template <typename R>
BinaryLoop<R> FindBinaryLoop(std::string_view op) {
  return Find(kBinary<R>, op);
}
template UnaryLoop<float> FindUnaryLoop<float>(std::string_view);
template UnaryLoop<double> FindUnaryLoop<double>(std::string_view);
template BinaryLoop<float> FindBinaryLoop<float>(std::string_view);
template BinaryLoop<double> FindBinaryLoop<double>(std::string_view);

template <typename R>
PointwiseNumbers<R> LoopNumbers(std::span<const double, 2> numbers) {
  constexpr double kLargest = std::numeric_limits<R>::max();
  return {.a = static_cast<R>(std::clamp(numbers[0], -kLargest, kLargest)),
          .b = static_cast<R>(std::clamp(numbers[1], -kLargest, kLargest))};
}
template PointwiseNumbers<float> LoopNumbers(std::span<const double, 2>);
template PointwiseNumbers<double> LoopNumbers(std::span<const double, 2>);

KernelResult CompileUnary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  return ForNumberType(launch, [&]<typename T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      return CompileIntegerUnary<T>(launch, context);
    } else {
      return CompileFloatUnary<T>(launch, context);
    }
  });
}

KernelResult CompileBinary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  return ForNumberType(launch, [&]<typename T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      return CompileIntegerBinary<T>(launch, context);
    } else {
      return CompileFloatBinary<T>(launch, context);
    }
  });
}

KernelResult CompileCompare(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  return ForNumberType(launch, [&]<typename T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) {
      return CompileIntegerCompare<T>(launch, context);
    } else {
      return CompileFloatCompare<T>(launch, context);
    }
  });
}

KernelResult CompileLogical(const LaunchSpec& launch, Context& context) {
  const bool unary = launch.op == "Not";
  const size_t operands = unary ? 1 : 2;
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, operands, operands, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kBool));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kBool));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kBool));
  return unary ? CompileIntegerUnary<uint8_t>(launch, context)
               : CompileIntegerBinary<uint8_t>(launch, context);
}

}  // namespace wsi::cpu
