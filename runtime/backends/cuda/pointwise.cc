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
#include "runtime/base/pointwise_attributes.h"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

static_assert(kSumThreads == kThreads);
constexpr int64_t kMostBlocks = int64_t{1} << 16;

unsigned BlocksFor(int64_t items) {
  return static_cast<unsigned>(std::clamp<int64_t>(CeilDiv(items, kThreads), 1, kMostBlocks));
}

Status LaunchProgram(cudaKernel_t kernel, dim3 grid, void** arguments, cudaStream_t stream) {
  return WSI_CUDA_STATUS(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid,
                                          dim3(kThreads), arguments, 0, stream));
}

// As texts lay axes out: sizes, then the strides of each operand.
std::vector<int64_t> Flat(const MergedAxes& axes) {
  std::vector<int64_t> flat = axes.sizes;
  for (const auto& strides : axes.strides) flat.insert(flat.end(), strides.begin(), strides.end());
  return flat;
}

// Integers of one or two bytes compute in 32 bits.
DType ComputedType(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
    case DType::kI32:
    case DType::kU64:
    case DType::kU32: return dtype;
    case DType::kI16:
    case DType::kU16:
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
  PointwiseKernel(cudaKernel_t kernel, const MergedAxes& axes, const PointwiseSource& source,
                  std::vector<size_t> outputs, cudaStream_t stream)
      : kernel_(kernel),
        stream_(stream),
        packs_(axes.Count() / source.width),
        axes_(Flat(axes)),
        inputs_(source.inputs.size()),
        outputs_(std::move(outputs)),
        operands_(inputs_ + outputs_.size()) {}
  Status Run(const LaunchArguments& a) override {
    if (packs_ == 0) return {};
    std::copy_n(a.inputs.begin(), inputs_, operands_.begin());
    for (size_t r = 0; r < outputs_.size(); ++r) operands_[inputs_ + r] = a.outputs[outputs_[r]];
    void* arguments[] = {static_cast<void*>(operands_.data()), axes_.data(), &packs_};
    return LaunchProgram(kernel_, dim3(BlocksFor(packs_)), arguments, stream_);
  }

 private:
  cudaKernel_t kernel_;
  cudaStream_t stream_;
  int64_t packs_;
  std::vector<int64_t> axes_;  // The text's Axes.
  size_t inputs_;
  std::vector<size_t> outputs_;  // The launch's, by the source's results.
  std::vector<const std::byte*> operands_;
};

// A launch's inputs and the shape that they broadcast to.
struct Domain {
  Shape shape;
  std::vector<DType> types;
  std::vector<AxisArray> strides;
};

// `at_least`: a shape that they broadcast to as well.
Result<Domain> ReadDomain(const LaunchSpec& launch, const Shape& at_least = {}) {
  Domain domain{.shape = at_least, .types = {}, .strides = {}};
  for (const OperandSpec& input : launch.inputs) {
    if (!input.present) return CompileError(launch, "wants every input");
    WSI_ASSIGN_OR_RETURN(domain.shape, BroadcastShapes(domain.shape, input.shape));
    domain.types.push_back(input.dtype);
  }
  for (const OperandSpec& input : launch.inputs) {
    domain.strides.push_back(Broadcast(input.shape, domain.shape));
  }
  return domain;
}

// The kernel of the results that are no sums; `outputs`: their numbers in the launch.
// `program`: null for a cast.
KernelResult CompileElements(const LaunchSpec& launch, const PointwiseProgram* program,
                             DType computed, const std::vector<StoredStep>& results,
                             std::vector<size_t> outputs, Context& context) {
  WSI_ASSIGN_OR_RETURN(const Domain domain, ReadDomain(launch, launch.outputs[outputs[0]].shape));
  std::vector<AxisArray> strides = domain.strides;
  std::vector<DType> types = domain.types;
  for (const StoredStep& result : results) {
    strides.push_back(RowMajor(domain.shape));
    types.push_back(result.dtype);
  }
  const MergedAxes axes = MergeAxes(domain.shape, strides);
  PointwiseSource source = {.program = program,
                            .inputs = domain.types,
                            .results = results,
                            .computed = computed,
                            .width = WidthOf(axes, types),
                            .still = {},
                            .rank = static_cast<int>(axes.sizes.size())};
  for (size_t i = 0; i < domain.types.size(); ++i) {
    source.still.push_back(axes.strides[i].back() == 0);
  }
  const Result<std::string> text = MakePointwiseSource(source);
  if (!text.ok()) return CompileError(launch, text.status().message());
  WSI_ASSIGN_OR_RETURN(const cudaKernel_t kernel, context.programs.Get(*text, kPointwiseKernel));
  return std::unique_ptr<Kernel>(
      std::make_unique<PointwiseKernel>(kernel, axes, source, std::move(outputs), context.stream));
}

// Sums over axes in two steps. What is stored between them may lie where inputs do.
class Sums {
 public:
  Sums(cudaKernel_t partial, cudaKernel_t finish, const MergedAxes& kept, const MergedAxes& summed,
       const PointwiseSumCut& cut, const SumSource& source, std::vector<size_t> outputs,
       double factor, Context& context)
      : partial_(partial),
        finish_(finish),
        context_(context),
        kept_(Flat(kept)),
        summed_(Flat(summed)),
        count_(cut.results),
        terms_(cut.terms),
        part_(CeilDiv(cut.terms, cut.parts)),
        columns_(cut.columns),
        parts_(static_cast<int>(cut.parts)),
        factor_(factor),
        outputs_(std::move(outputs)),
        operands_(source.inputs.size()),
        results_(outputs_.size()) {}

  // Reads the inputs.
  Status Begin(const LaunchArguments& a) {
    if (count_ == 0) return {};
    std::copy_n(a.inputs.begin(), operands_.size(), operands_.begin());
    auto* partial = WorkspaceAt<double>(a);
    void* first[] = {static_cast<void*>(operands_.data()),
                     kept_.data(),
                     summed_.data(),
                     &count_,
                     &terms_,
                     &part_,
                     static_cast<void*>(&partial)};
    const dim3 grid(static_cast<unsigned>(std::min(CeilDiv(count_, columns_), kMostBlocks)),
                    static_cast<unsigned>(parts_));
    return LaunchProgram(partial_, grid, first, context_.stream);
  }
  // Writes the results.
  Status Finish(const LaunchArguments& a) {
    if (count_ == 0) return {};
    for (size_t r = 0; r < outputs_.size(); ++r) results_[r] = a.outputs[outputs_[r]];
    auto* partial = WorkspaceAt<double>(a);
    void* second[] = {static_cast<void*>(results_.data()), &count_, &parts_, &factor_,
                      static_cast<void*>(&partial)};
    return LaunchProgram(finish_, dim3(BlocksFor(count_)), second, context_.stream);
  }

 private:
  cudaKernel_t partial_;
  cudaKernel_t finish_;
  Context& context_;
  std::vector<int64_t> kept_;
  std::vector<int64_t> summed_;
  int64_t count_;
  int64_t terms_;
  int64_t part_;
  int columns_;
  int parts_;
  double factor_;
  std::vector<size_t> outputs_;
  std::vector<const std::byte*> operands_;
  std::vector<std::byte*> results_;
};

// `axes` of the domain's, with the strides of all operands.
MergedAxes MergeSome(const Domain& domain, const std::vector<int64_t>& axes, bool those) {
  std::vector<int64_t> sizes(domain.shape.begin(), domain.shape.end());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const bool listed = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    if (listed != those) sizes[i] = 1;
  }
  return MergeAxes(Shape::Make(sizes).value(), domain.strides);
}

Result<std::unique_ptr<Sums>> CompileSums(const LaunchSpec& launch,
                                          const PointwiseAttributes& kernel, DType computed,
                                          const std::vector<StoredStep>& results,
                                          std::vector<size_t> outputs, Context& context) {
  WSI_ASSIGN_OR_RETURN(const Domain domain, ReadDomain(launch, launch.outputs[outputs[0]].shape));
  const MergedAxes kept = MergeSome(domain, kernel.axes, false);
  const MergedAxes summed = MergeSome(domain, kernel.axes, true);
  const PointwiseSumCut cut = CutPointwiseSums(domain.shape, kernel.axes);
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, cut.SumBytes(static_cast<int64_t>(outputs.size()))));
  const SumSource source = {.program = &kernel.program,
                            .inputs = domain.types,
                            .results = results,
                            .computed = computed,
                            .kept_rank = static_cast<int>(kept.sizes.size()),
                            .summed_rank = static_cast<int>(summed.sizes.size()),
                            .columns = cut.columns};
  const Result<std::string> text = MakeSumSource(source);
  if (!text.ok()) return CompileError(launch, text.status().message());
  WSI_ASSIGN_OR_RETURN(const cudaKernel_t partial, context.programs.Get(*text, kPartialSums));
  WSI_ASSIGN_OR_RETURN(const cudaKernel_t finish, context.programs.Get(*text, kFinishSums));
  return std::make_unique<Sums>(partial, finish, kept, summed, cut, source, std::move(outputs),
                                kernel.factor, context);
}

// Checks the operands of the operator `op` on its own.
Status CheckSingle(const LaunchSpec& launch, const PointwiseOp& op, LaunchCheck& check) {
  const bool where = op.name == "Where";
  WSI_RETURN_IF_ERROR(check.Operands(
      where ? "B**" : std::string_view("***").substr(0, static_cast<size_t>(op.operands)), "*"));
  const DType dtype = launch.inputs[where ? 1 : 0].dtype;
  for (size_t i = where ? 1 : 0; i < launch.inputs.size(); ++i) check.InputIs(i, dtype);
  check.OutputIs(0, op.is_truth ? DType::kBool : dtype);
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const Domain domain, ReadDomain(launch));
  check.OutputIs(0, domain.shape);
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
  return CompileElements(launch, &program, ComputedType(launch.inputs.back().dtype),
                         {{0, launch.outputs[0].dtype}}, {0}, context);
}

KernelResult CompileCast(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  check.Require(check.String("to", "") == DTypeName(check.output_type(0)),
                "attribute to is not the output's type");
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return CompileElements(launch, nullptr, DType::kF32, {{0, check.output_type(0)}}, {0}, context);
}

KernelResult CompileBroadcast(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const Result<Shape> shape = BroadcastShapes(check.input(0), check.output(0));
  check.Require(shape.ok() && *shape == check.output(0), "the input does not broadcast");
  WSI_RETURN_IF_ERROR(check.status());
  return CompileElements(launch, nullptr, DType::kF32, {{0, check.output_type(0)}}, {0}, context);
}

KernelResult CompileProgram(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_ASSIGN_OR_RETURN(const Domain domain, ReadDomain(launch));
  const Result<PointwiseAttributes> kernel = ReadPointwiseAttributes(
      launch.attributes, static_cast<int>(launch.inputs.size()), domain.shape);
  if (!kernel.ok()) return CompileError(launch, kernel.status().message());
  check.Require(kernel->results.size() == launch.outputs.size(), "wants an output for each result");
  WSI_RETURN_IF_ERROR(check.status());
  bool wide = false;
  for (const DType dtype : domain.types) {
    check.Require(IsFloat(dtype) || dtype == DType::kBool, "wants inputs of floats and bool");
    wide = wide || dtype == DType::kF64;
  }
  std::array<std::vector<StoredStep>, 2> results;  // Elements and sums.
  std::array<std::vector<size_t>, 2> outputs;
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    const PointwiseResult& result = kernel->results[i];
    check.Require(launch.outputs[i].present, "wants every output");
    check.OutputIs(i, result.dtype);
    check.OutputIs(i, result.is_sum ? kernel->SumShape(domain.shape) : domain.shape);
    results[result.is_sum ? 1 : 0].push_back({result.step, result.dtype});
    outputs[result.is_sum ? 1 : 0].push_back(i);
  }
  WSI_RETURN_IF_ERROR(check.status());
  const DType computed = wide ? DType::kF64 : DType::kF32;
  std::unique_ptr<Sums> sums;
  std::unique_ptr<Kernel> elements;
  if (!outputs[1].empty()) {
    WSI_ASSIGN_OR_RETURN(sums,
                         CompileSums(launch, *kernel, computed, results[1], outputs[1], context));
  }
  if (!outputs[0].empty()) {
    WSI_ASSIGN_OR_RETURN(elements, CompileElements(launch, &kernel->program, computed, results[0],
                                                   outputs[0], context));
  }
  if (sums == nullptr) return elements;
  return MakeKernel(
      [sums = std::move(sums), elements = std::move(elements)](const LaunchArguments& a) -> Status {
        WSI_RETURN_IF_ERROR(sums->Begin(a));
        if (elements != nullptr) WSI_RETURN_IF_ERROR(elements->Run(a));
        return sums->Finish(a);
      });
}

}  // namespace wsi::cuda
