// Pointwise launches: one operator, or a program of many, as a kernel whose text is made
// for the program, the operands' types and how they broadcast.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/merged_axes.h"
#include "runtime/backends/cuda/pointwise_source.h"
#include "runtime/backends/cuda/program_cache.h"

namespace wsi::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = int64_t{1} << 16;

// Integers of one byte compute in 32 bits.
DType ComputedType(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
    case DType::kI32: return dtype;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool: return DType::kI32;
    default: return DType::kF32;
  }
}

// The widest pack of at most 16 bytes of the narrowest operand that inner sizes and
// strides are multiples of.
int WidthOf(const MergedAxes& axes, std::span<const DType> types) {
  Bytes narrowest = 8;
  for (const DType dtype : types) narrowest = std::min(narrowest, DTypeBytes(dtype));
  int64_t width = std::min<int64_t>(8, 16 / narrowest);
  const auto last = axes.sizes.size() - 1;
  const auto divides = [&](int64_t w) {
    if (axes.sizes[last] % w != 0) return false;
    return std::all_of(axes.strides.begin(), axes.strides.end(), [&](const auto& strides) {
      if (strides[last] == 0) return true;
      return std::all_of(strides.begin(), strides.end() - 1, [&](int64_t s) { return s % w == 0; });
    });
  };
  while (width > 1 && !divides(width)) width /= 2;
  return static_cast<int>(width);
}

class PointwiseKernel final : public Kernel {
 public:
  PointwiseKernel(cudaKernel_t kernel, const MergedAxes& axes, int width, cudaStream_t stream)
      : kernel_(kernel), stream_(stream), packs_(axes.Count() / width) {
    axes_ = axes.sizes;
    for (const auto& strides : axes.strides) {
      axes_.insert(axes_.end(), strides.begin(), strides.end());
    }
    operands_.resize(axes.strides.size());
  }
  Status Run(const LaunchArguments& a) override {
    if (packs_ == 0) return {};
    for (size_t i = 0; i + 1 < operands_.size(); ++i) operands_[i] = a.inputs[i];
    operands_.back() = a.outputs[0];
    void* arguments[] = {static_cast<void*>(operands_.data()), axes_.data(), &packs_};
    const auto blocks =
        static_cast<unsigned>(std::min<int64_t>(CeilDiv(packs_, kThreads), kMostBlocks));
    return WSI_CUDA_STATUS(cudaLaunchKernel(reinterpret_cast<const void*>(kernel_), dim3(blocks),
                                            dim3(kThreads), arguments, 0, stream_));
  }

 private:
  cudaKernel_t kernel_;
  cudaStream_t stream_;
  int64_t packs_;
  std::vector<int64_t> axes_;               // The text's Axes: sizes, then strides by operand.
  std::vector<const std::byte*> operands_;  // The text's Operands.
};

// `program`: null for a cast.
KernelResult Compile(const LaunchSpec& launch, LaunchCheck& check, const PointwiseProgram* program,
                     DType computed, Context& context) {
  Shape result;
  std::vector<DType> types;
  for (const OperandSpec& input : launch.inputs) {
    WSI_ASSIGN_OR_RETURN(result, BroadcastShapes(result, input.shape));
    types.push_back(input.dtype);
  }
  check.OutputIs(0, result);
  WSI_RETURN_IF_ERROR(check.status());
  std::vector<AxisArray> strides;
  for (const OperandSpec& input : launch.inputs) strides.push_back(Broadcast(input.shape, result));
  strides.push_back(RowMajor(result));
  const MergedAxes axes = MergeAxes(result, strides);
  const std::unique_ptr<bool[]> still(new bool[types.size()]);
  for (size_t i = 0; i < types.size(); ++i) still[i] = axes.strides[i].back() == 0;
  const std::vector<DType> inputs = types;
  types.push_back(launch.outputs[0].dtype);
  const int width = WidthOf(axes, types);
  const PointwiseSource source = {.program = program,
                                  .inputs = inputs,
                                  .output = launch.outputs[0].dtype,
                                  .computed = computed,
                                  .width = width,
                                  .still = std::span(still.get(), inputs.size()),
                                  .rank = static_cast<int>(axes.sizes.size())};
  const Result<std::string> text = MakePointwiseSource(source);
  if (!text.ok()) return CompileError(launch, text.status().message());
  WSI_ASSIGN_OR_RETURN(const cudaKernel_t kernel, context.programs.Get(*text, kPointwiseKernel));
  return std::unique_ptr<Kernel>(
      std::make_unique<PointwiseKernel>(kernel, axes, width, context.stream));
}

// Checks the operands of the operator `op` on its own.
Status CheckSingle(const LaunchSpec& launch, const PointwiseOp& op, LaunchCheck& check) {
  const bool where = op.name == "Where";
  WSI_RETURN_IF_ERROR(check.Operands(
      where ? "B**" : std::string_view("***").substr(0, static_cast<size_t>(op.operands)), "*"));
  const DType dtype = launch.inputs[where ? 1 : 0].dtype;
  for (size_t i = where ? 1 : 0; i < launch.inputs.size(); ++i) check.InputIs(i, dtype);
  if (op.is_truth) {
    check.OutputIs(0, DType::kBool);
  } else {
    check.OutputIs(0, dtype);
  }
  return check.status();
}

}  // namespace

KernelResult CompilePointwise(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  const PointwiseOp* op = FindPointwiseOp(launch.op);
  WSI_CHECK(op != nullptr);  // The kernel table names only these.
  WSI_RETURN_IF_ERROR(CheckSingle(launch, *op, check));
  PointwiseProgram program;
  std::array<PointwiseOperand, PointwiseStep::kMaxOperands> operands;
  for (size_t i = 0; i < operands.size(); ++i) operands[i].index = static_cast<int>(i);
  program.steps.push_back(MakePointwiseStep(
      *op, std::span(operands).first(static_cast<size_t>(op->operands)), launch.attributes));
  return Compile(launch, check, &program, ComputedType(launch.inputs.back().dtype), context);
}

KernelResult CompileCast(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.Require(check.String("to", "") == DTypeName(check.output_type(0)),
                "attribute to is not the output's type");
  return Compile(launch, check, nullptr, DType::kF32, context);
}

}  // namespace wsi::cuda
