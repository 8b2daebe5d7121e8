#include "runtime/backends/cpu/pointwise.h"

#include <cmath>
#include <limits>

#include "runtime/backends/cpu/broadcast.h"
#include "runtime/backends/cpu/integer_loops.h"
#include "runtime/backends/cpu/loops/pointwise_loops.h"

namespace wsi::cpu {
namespace {

// An operator's fp32 loop and the names and defaults of the attributes it takes.
struct Numbers {
  std::string_view a_name = {};
  double a = 0;
  std::string_view b_name = {};
  double b = 0;
};
template <typename Loop>
struct Entry {
  std::string_view op;
  Loop PointwiseLoops::*loop;
  Numbers numbers = {};
};

constexpr double kLowest = std::numeric_limits<float>::lowest();
constexpr double kHighest = std::numeric_limits<float>::max();
constexpr Numbers kClip = {"min", kLowest, "max", kHighest};
constexpr Numbers kHardSigmoid = {"alpha", 0.2, "beta", 0.5};
constexpr Numbers kLeaky = {"alpha", 0.01};
constexpr Numbers kElu = {"alpha", 1.0};

using L = PointwiseLoops;
constexpr Entry<UnaryLoop> kUnary[] = {
    {"Abs", &L::abs},
    {"Ceil", &L::ceil},
    {"Clip", &L::clip, kClip},
    {"Elu", &L::elu, kElu},
    {"Erf", &L::erf},
    {"Exp", &L::exp},
    {"Floor", &L::floor},
    {"HardSigmoid", &L::hard_sigmoid, kHardSigmoid},
    {"HardSwish", &L::hard_swish},
    {"LeakyRelu", &L::leaky_relu, kLeaky},
    {"Log", &L::log},
    {"Neg", &L::neg},
    {"Reciprocal", &L::reciprocal},
    {"Relu", &L::relu},
    {"Sigmoid", &L::sigmoid},
    {"Sign", &L::sign},
    {"Softplus", &L::softplus},
    {"Sqrt", &L::sqrt},
    {"Tanh", &L::tanh},
};
constexpr Entry<BinaryLoop> kBinary[] = {
    {"AccumulateGrad", &L::add},
    {"Add", &L::add},
    {"ClipGrad", &L::clip_grad, kClip},
    {"Div", &L::div},
    {"EluGrad", &L::elu_grad, kElu},
    {"ErfGrad", &L::erf_grad},
    {"HardSigmoidGrad", &L::hard_sigmoid_grad, kHardSigmoid},
    {"HardSwishGrad", &L::hard_swish_grad},
    {"LeakyReluGrad", &L::leaky_relu_grad, kLeaky},
    {"Max", &L::max},
    {"Min", &L::min},
    {"MovingAverage", &L::moving_average, {"momentum", 0.9}},
    {"Mul", &L::mul},
    {"Pow", &L::pow},
    {"ReluGrad", &L::relu_grad},
    {"SigmoidGrad", &L::sigmoid_grad},
    {"Sub", &L::sub},
    {"TanhGrad", &L::tanh_grad},
};
constexpr Entry<CompareLoop> kCompare[] = {
    {"Equal", &L::equal},
    {"Greater", &L::greater},
    {"Less", &L::less},
};

template <typename T, size_t kCount>
const Entry<T>& Find(const Entry<T> (&table)[kCount], std::string_view op) {
  for (const Entry<T>& entry : table) {
    if (entry.op == op) return entry;
  }
  WSI_CHECK(false);
  return table[0];
}

PointwiseNumbers Read(const LaunchSpec& launch, const Numbers& numbers) {
  PointwiseNumbers result;
  if (!numbers.a_name.empty()) {
    result.a = static_cast<float>(launch.attributes.Float(numbers.a_name, numbers.a));
  }
  if (!numbers.b_name.empty()) {
    result.b = static_cast<float>(launch.attributes.Float(numbers.b_name, numbers.b));
  }
  return result;
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
  const auto loop = FindIntegerBinary<T>(launch.op);
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

}  // namespace

KernelResult CompileUnary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  if (launch.inputs[0].dtype == DType::kI64) return CompileIntegerUnary<int64_t>(launch, context);
  if (launch.inputs[0].dtype == DType::kI32) return CompileIntegerUnary<int32_t>(launch, context);
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, launch.inputs[0].shape));
  const Entry<UnaryLoop>& entry = Find(kUnary, launch.op);
  const PointwiseNumbers numbers = Read(launch, entry.numbers);
  const UnaryLoop loop = GetPointwiseLoops().*entry.loop;
  const Chunks chunks = ChunksOf(launch.inputs[0].shape.ElementCount(), 1, kGrain);
  return MakeKernel([chunks, numbers, loop, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loop(a.input<float>(0) + begin, end - begin, numbers, a.output<float>(0) + begin);
    });
  });
}

KernelResult CompileBinary(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  if (launch.inputs[0].dtype == DType::kI64) return CompileIntegerBinary<int64_t>(launch, context);
  if (launch.inputs[0].dtype == DType::kI32) return CompileIntegerBinary<int32_t>(launch, context);
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32));
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  const Entry<BinaryLoop>& entry = Find(kBinary, launch.op);
  const PointwiseNumbers numbers = Read(launch, entry.numbers);
  const BinaryLoop loop = GetPointwiseLoops().*entry.loop;
  return MakeKernel([runs, numbers, loop, &context](const LaunchArguments& a) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
      loop(a.input<float>(0) + at[0], runs.inner_stride(0), a.input<float>(1) + at[1],
           runs.inner_stride(1), n, numbers, a.output<float>(0) + out);
    });
  });
}

KernelResult CompileCompare(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  switch (launch.inputs[0].dtype) {
    case DType::kI64: return CompileIntegerCompare<int64_t>(launch, context);
    case DType::kI32: return CompileIntegerCompare<int32_t>(launch, context);
    case DType::kU8:
    case DType::kBool: return CompileIntegerCompare<uint8_t>(launch, context);
    default: break;
  }
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kBool));
  WSI_ASSIGN_OR_RETURN(const Broadcast runs, BinaryRuns(launch));
  const CompareLoop loop = GetPointwiseLoops().*Find(kCompare, launch.op).loop;
  return MakeKernel([runs, loop, &context](const LaunchArguments& a) {
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
      loop(a.input<float>(0) + at[0], runs.inner_stride(0), a.input<float>(1) + at[1],
           runs.inner_stride(1), n, a.output<uint8_t>(0) + out);
    });
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
