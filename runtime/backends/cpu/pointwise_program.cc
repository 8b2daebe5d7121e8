// Pointwise programs, block by block: every step is one vector loop over a block whose
// operands and results stay in the cache. Sums of a block in fp32, their totals in fp64.
#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/backends/cpu/loops/sum_loops.h"
#include "runtime/backends/cpu/pointwise.h"
#include "runtime/backends/cpu/pointwise_blocks.h"
#include "runtime/backends/cpu/pointwise_values.h"
#include "runtime/base/pointwise_attributes.h"

namespace wsi::cpu {
namespace {

using Kind = PointwiseOperand::Kind;
using Block = PointwiseBlocks::Block;

constexpr Bytes kMaxPartialBytes = Bytes{8} << 20;

// A step with its loop and the place of its result: a slot of kBlockElements numbers.
template <typename R>
struct CompiledStep {
  PointwiseStep step;
  typename PointwiseLoopsOf<R>::UnaryLoop unary = nullptr;
  typename PointwiseLoopsOf<R>::BinaryLoop binary = nullptr;
  PointwiseNumbers<R> numbers = {};
  std::array<R, PointwiseStep::kMaxOperands> constants = {};
  size_t slot = 0;
  bool is_one_number = false;  // All operands are, in every block.
};

template <typename R>
class ProgramKernel final : public Kernel {
 public:
  ProgramKernel(Context& context, PointwiseAttributes kernel, PointwiseBlocks blocks)
      : context_(context), kernel_(std::move(kernel)), blocks_(std::move(blocks)) {}

  Status Prepare(const LaunchSpec& launch);
  Status Run(const LaunchArguments& arguments) override;

 private:
  // What a thread works with; lies in its scratch.
  struct Workspace {
    R* slots = nullptr;         // slots_ times kBlockElements
    R* inputs = nullptr;        // Converted or expanded: one block for each input.
    double* totals = nullptr;   // results_per_slice_ for each sum
    float* columns = nullptr;   // kBlockElements
    int64_t* cached = nullptr;  // Of each input: the offset that its block was expanded from.
  };

  Status PrepareSteps();
  void AssignSlots();
  void PrepareSums(const LaunchSpec& launch);
  Bytes worker_bytes() const;
  Workspace WorkspaceOf(int worker) const;

  Values<R> Input(const LaunchArguments& a, size_t i, const Block& block, const Workspace& w) const;
  void Expand(const std::byte* from, size_t i, const Block& block, R* to) const;
  void RunBlock(const LaunchArguments& a, const Block& block, const Workspace& w) const;
  void RunStep(const CompiledStep<R>& step, const Values<R>* operands, int64_t n, R* y) const;
  void Accumulate(size_t sum, const Values<R>& values, const Block& block,
                  const Workspace& w) const;
  void RunSlicePart(const LaunchArguments& a, int64_t unit, const Workspace& w) const;
  void StoreSums(const LaunchArguments& a, int64_t slice, const double* totals) const;

  Context& context_;
  PointwiseAttributes kernel_;
  PointwiseBlocks blocks_;
  std::vector<DType> inputs_;
  std::vector<CompiledStep<R>> steps_;
  size_t slots_ = 0;
  std::vector<size_t> sums_;  // Outputs that are sums; their operands in blocks_ come last.
  int64_t results_per_slice_ = 0;
  int64_t parts_ = 1;  // Of each slice.
};

template <typename R>
Status ProgramKernel<R>::Prepare(const LaunchSpec& launch) {
  for (const OperandSpec& input : launch.inputs) inputs_.push_back(input.dtype);
  WSI_RETURN_IF_ERROR(PrepareSteps());
  AssignSlots();
  PrepareSums(launch);
  const Bytes shared = parts_ == 1 ? 0
                                   : blocks_.slices() * parts_ * results_per_slice_ *
                                         static_cast<Bytes>(sums_.size() * sizeof(double));
  return context_.scratch.Require(shared, worker_bytes());
}

template <typename R>
Status ProgramKernel<R>::PrepareSteps() {
  for (const PointwiseStep& step : kernel_.program.steps) {
    CompiledStep<R>& compiled = steps_.emplace_back();
    compiled.step = step;
    compiled.numbers = LoopNumbers<R>(step.numbers);
    if (step.op->operands == 1) compiled.unary = FindUnaryLoop<R>(step.op->name);
    if (step.op->operands == 2) compiled.binary = FindBinaryLoop<R>(step.op->name);
    compiled.is_one_number = true;
    for (size_t k = 0; k < step.used().size(); ++k) {
      const PointwiseOperand& operand = step.used()[k];
      const auto index = static_cast<size_t>(operand.index);
      compiled.constants[k] = static_cast<R>(operand.number);
      if (operand.kind == Kind::kInput) compiled.is_one_number &= blocks_.IsOneNumber(index);
      if (operand.kind == Kind::kStep) compiled.is_one_number &= steps_[index].is_one_number;
    }
  }
  return {};
}

// A slot is free again behind the last step that reads it; results stay to the end.
template <typename R>
void ProgramKernel<R>::AssignSlots() {
  std::vector<size_t> last(steps_.size(), 0);
  for (size_t s = 0; s < steps_.size(); ++s) {
    last[s] = s;
    for (const PointwiseOperand& operand : steps_[s].step.used()) {
      if (operand.kind == Kind::kStep) last[static_cast<size_t>(operand.index)] = s;
    }
  }
  for (const PointwiseResult& result : kernel_.results) {
    last[static_cast<size_t>(result.step)] = steps_.size();
  }
  std::vector<size_t> free;
  for (size_t s = 0; s < steps_.size(); ++s) {
    // A loop may write over its operands, but not over one number that it reads throughout.
    const auto release = [&](bool one_numbers) {
      for (size_t before = 0; before < s; ++before) {
        if (last[before] == s && steps_[before].is_one_number == one_numbers) {
          free.push_back(steps_[before].slot);
        }
      }
    };
    release(false);
    if (free.empty()) free.push_back(slots_++);
    steps_[s].slot = free.back();
    free.pop_back();
    release(true);
    if (last[s] == s) free.push_back(steps_[s].slot);
  }
}

template <typename R>
void ProgramKernel<R>::PrepareSums(const LaunchSpec& launch) {
  for (size_t i = 0; i < kernel_.results.size(); ++i) {
    if (kernel_.results[i].is_sum) sums_.push_back(i);
  }
  if (sums_.empty() || blocks_.slices() == 0) return;
  results_per_slice_ = launch.outputs[sums_[0]].shape.ElementCount() / blocks_.slices();
  if (blocks_.slices() >= 32) return;
  const Bytes bytes = std::max<Bytes>(1, results_per_slice_ * blocks_.slices()) *
                      static_cast<Bytes>(sums_.size() * sizeof(double));
  parts_ = std::min({CeilDiv(blocks_.elements_per_slice(), kGrain), kMaxPartialBytes / bytes,
                     blocks_.blocks_per_slice(), int64_t{64}});
  parts_ = std::max<int64_t>(parts_, 1);
}

template <typename R>
Bytes ProgramKernel<R>::worker_bytes() const {
  const Bytes numbers = static_cast<Bytes>(slots_ + inputs_.size()) * kBlockElements;
  const Bytes totals = static_cast<Bytes>(sums_.size()) * results_per_slice_;
  return numbers * static_cast<Bytes>(sizeof(R)) + totals * 8 + kBlockElements * 4 +
         static_cast<Bytes>(inputs_.size()) * 8;
}

template <typename R>
typename ProgramKernel<R>::Workspace ProgramKernel<R>::WorkspaceOf(int worker) const {
  Workspace w;
  w.totals = context_.scratch.worker<double>(worker);
  w.cached = reinterpret_cast<int64_t*>(w.totals +
                                        static_cast<int64_t>(sums_.size()) * results_per_slice_);
  w.slots = reinterpret_cast<R*>(w.cached + inputs_.size());
  w.inputs = w.slots + slots_ * kBlockElements;
  w.columns = reinterpret_cast<float*>(w.inputs + inputs_.size() * kBlockElements);
  std::fill_n(w.cached, inputs_.size(), -1);
  return w;
}

// The rows of a block of an operand that is stretched along rows or columns.
template <typename R>
void ProgramKernel<R>::Expand(const std::byte* from, size_t i, const Block& block, R* to) const {
  const Bytes row_bytes = blocks_.row_stride(i) * DTypeBytes(inputs_[i]);
  const bool is_filled = blocks_.column_stride(i) == 0;
  for (int64_t row = 0; row < block.rows; ++row) {
    R* out = to + row * block.columns;
    if (row > 0 && row_bytes == 0) {
      std::copy_n(to, block.columns, out);
    } else if (is_filled) {
      R value = 0;
      LoadRun(inputs_[i], from + row * row_bytes, 1, &value);
      std::fill_n(out, block.columns, value);
    } else {
      LoadRun(inputs_[i], from + row * row_bytes, block.columns, out);
    }
  }
}

template <typename R>
Values<R> ProgramKernel<R>::Input(const LaunchArguments& a, size_t i, const Block& block,
                                  const Workspace& w) const {
  const int64_t offset = blocks_.Offset(i, block);
  const std::byte* from = a.inputs[i] + offset * DTypeBytes(inputs_[i]);
  R* buffer = w.inputs + i * kBlockElements;
  const bool is_one = blocks_.IsOneNumber(i);
  if (is_one || blocks_.IsContiguous(i)) {
    const int64_t stride = is_one ? 0 : 1;
    if (inputs_[i] == StorageType<R>()) return {reinterpret_cast<const R*>(from), stride};
    LoadRun(inputs_[i], from, is_one ? 1 : block.elements(), buffer);
    return {buffer, stride};
  }
  // The same row again and again: expanded once, unless this is the short last block.
  const bool repeats = blocks_.row_stride(i) == 0;
  const int64_t key = offset * kBlockElements + block.elements() - 1;
  if (repeats && w.cached[i] == key) return {buffer, 1};
  Expand(from, i, block, buffer);
  w.cached[i] = repeats ? key : -1;
  return {buffer, 1};
}

template <typename R>
void ProgramKernel<R>::RunStep(const CompiledStep<R>& step, const Values<R>* operands, int64_t n,
                               R* y) const {
  if (step.unary != nullptr) {
    step.unary(operands[0].data, n, step.numbers, y);
  } else if (step.binary != nullptr) {
    step.binary(operands[0].data, operands[0].stride, operands[1].data, operands[1].stride, n,
                step.numbers, y);
  } else if (step.step.op->operands == 3) {
    const auto select = GetPointwiseLoops().Of<R>().select;
    select(operands[0].data, operands[0].stride, operands[1].data, operands[1].stride,
           operands[2].data, operands[2].stride, n, y);
  } else {
    std::memmove(y, operands[0].data, static_cast<size_t>(n) * sizeof(R));  // Identity.
  }
}

template <typename R>
void ProgramKernel<R>::RunBlock(const LaunchArguments& a, const Block& block,
                                const Workspace& w) const {
  const int64_t n = block.elements();
  Values<R> inputs[PointwiseProgram::kMaxInputs];
  for (size_t i = 0; i < inputs_.size(); ++i) inputs[i] = Input(a, i, block, w);
  const auto result_of = [&](size_t s) {
    return Values<R>{w.slots + steps_[s].slot * kBlockElements, steps_[s].is_one_number ? 0 : 1};
  };
  for (const CompiledStep<R>& step : steps_) {
    Values<R> operands[PointwiseStep::kMaxOperands];
    for (size_t k = 0; k < step.step.used().size(); ++k) {
      const PointwiseOperand& operand = step.step.operands[k];
      const auto index = static_cast<size_t>(operand.index);
      operands[k] = operand.kind == Kind::kInput  ? inputs[index]
                    : operand.kind == Kind::kStep ? result_of(index)
                                                  : Values<R>{&step.constants[k], 0};
    }
    RunStep(step, operands, step.is_one_number ? 1 : n, w.slots + step.slot * kBlockElements);
  }
  size_t sum = 0;
  for (size_t i = 0; i < kernel_.results.size(); ++i) {
    const PointwiseResult& result = kernel_.results[i];
    const Values<R> values = result_of(static_cast<size_t>(result.step));
    if (result.is_sum) {
      Accumulate(sum++, values, block, w);
      continue;
    }
    std::byte* to = a.outputs[i] + block.begin * DTypeBytes(result.dtype);
    if (values.stride == 1) {
      StoreRun(values.data, n, result.dtype, to);
      continue;
    }
    R* filled = w.slots + steps_[static_cast<size_t>(result.step)].slot * kBlockElements;
    std::fill_n(filled, n, *values.data);
    StoreRun(filled, n, result.dtype, to);
  }
}

template <typename R>
void ProgramKernel<R>::Accumulate(size_t sum, const Values<R>& values, const Block& block,
                                  const Workspace& w) const {
  const size_t operand = inputs_.size() + sum;
  double* totals = w.totals + static_cast<int64_t>(sum) * results_per_slice_;
  double* total = totals + blocks_.Offset(operand, block) % results_per_slice_;
  const int64_t row_stride = blocks_.IsTall() ? blocks_.row_stride(operand) : 0;
  const bool keeps_columns = blocks_.column_stride(operand) != 0;
  if (!keeps_columns && row_stride == 0) {
    *total += SumOf(values, block.elements());
    return;
  }
  for (int64_t row = 0; row < block.rows; ++row) {
    const Values<R> here = {values.data + row * block.columns * values.stride, values.stride};
    double* at = total + row * row_stride;
    if (!keeps_columns) {
      *at += SumOf(here, block.columns);
      continue;
    }
    if constexpr (std::is_same_v<R, float>) {
      if (row_stride == 0 && here.stride == 1) {
        GetSumLoops().f32.columns(here.data, block.rows, block.columns, block.columns, at,
                                  w.columns);
        return;
      }
    }
    for (int64_t c = 0; c < block.columns; ++c) {
      at[c] += static_cast<double>(here.data[c * here.stride]);
    }
  }
}

template <typename R>
void ProgramKernel<R>::StoreSums(const LaunchArguments& a, int64_t slice,
                                 const double* totals) const {
  for (size_t s = 0; s < sums_.size(); ++s) {
    const DType stored = kernel_.results[sums_[s]].dtype;
    std::byte* to = a.outputs[sums_[s]] + slice * results_per_slice_ * DTypeBytes(stored);
    for (int64_t j = 0; j < results_per_slice_; ++j, to += DTypeBytes(stored)) {
      const double total = totals[static_cast<int64_t>(s) * results_per_slice_ + j];
      const R value = static_cast<R>(total * kernel_.factor);
      StoreRun(&value, 1, stored, to);
    }
  }
}

template <typename R>
void ProgramKernel<R>::RunSlicePart(const LaunchArguments& a, int64_t unit,
                                    const Workspace& w) const {
  const int64_t slice = unit / parts_;
  const int64_t part = unit % parts_;
  const int64_t blocks = blocks_.blocks_per_slice();
  const size_t totals = sums_.size() * static_cast<size_t>(results_per_slice_);
  std::fill_n(w.totals, totals, 0.0);
  for (int64_t b = blocks * part / parts_; b < blocks * (part + 1) / parts_; ++b) {
    RunBlock(a, blocks_.At(slice * blocks + b), w);
  }
  if (sums_.empty()) return;
  if (parts_ == 1) {
    StoreSums(a, slice, w.totals);
  } else {
    std::copy_n(w.totals, totals,
                context_.scratch.shared<double>() + unit * static_cast<int64_t>(totals));
  }
}

template <typename R>
Status ProgramKernel<R>::Run(const LaunchArguments& arguments) {
  if (sums_.empty()) {
    ForChunks(context_.pool, ChunksOf(blocks_.count(), kBlockElements, kGrain),
              [&](int64_t begin, int64_t end, int64_t, int worker) {
                const Workspace w = WorkspaceOf(worker);
                for (int64_t b = begin; b < end; ++b) RunBlock(arguments, blocks_.At(b), w);
              });
    return {};
  }
  const int64_t units = blocks_.slices() * parts_;
  const Chunks chunks = ChunksOf(units, blocks_.elements_per_slice() / parts_, kGrain);
  ForChunks(context_.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
    const Workspace w = WorkspaceOf(worker);
    for (int64_t unit = begin; unit < end; ++unit) RunSlicePart(arguments, unit, w);
  });
  if (parts_ == 1) return {};
  const int64_t totals = static_cast<int64_t>(sums_.size()) * results_per_slice_;
  for (int64_t slice = 0; slice < blocks_.slices(); ++slice) {
    double* first = context_.scratch.shared<double>() + slice * parts_ * totals;
    for (int64_t part = 1; part < parts_; ++part) {
      for (int64_t j = 0; j < totals; ++j) first[j] += first[part * totals + j];
    }
    StoreSums(arguments, slice, first);
  }
  return {};
}

Status CheckOperands(const LaunchSpec& launch, const PointwiseAttributes& kernel,
                     const Shape& domain) {
  if (kernel.results.size() != launch.outputs.size()) {
    return CompileError(launch, "wants an output for each entry of results");
  }
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    const PointwiseResult& result = kernel.results[i];
    WSI_RETURN_IF_ERROR(
        ExpectOutput(launch, i, result.dtype, result.is_sum ? kernel.SumShape(domain) : domain));
  }
  return {};
}

template <typename R>
KernelResult CompileProgram(const LaunchSpec& launch, const Shape& domain,
                            PointwiseAttributes attributes, Context& context) {
  std::vector<Shape> operands;
  for (const OperandSpec& input : launch.inputs) operands.push_back(input.shape);
  size_t sums = 0;
  for (const PointwiseResult& result : attributes.results) {
    if (!result.is_sum) continue;
    operands.push_back(attributes.SumShape(domain));
    ++sums;
  }
  WSI_ASSIGN_OR_RETURN(PointwiseBlocks blocks,
                       PointwiseBlocks::Make(launch, operands, sums, domain));
  auto kernel =
      std::make_unique<ProgramKernel<R>>(context, std::move(attributes), std::move(blocks));
  WSI_RETURN_IF_ERROR(kernel->Prepare(launch));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace

KernelResult CompilePointwise(const LaunchSpec& launch, Context& context) {
  const size_t count = launch.inputs.size();
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, count, count, 1, launch.outputs.size()));
  Shape domain;
  bool is_wide = false;
  for (size_t i = 0; i < count; ++i) {
    const OperandSpec& input = launch.inputs[i];
    is_wide |= input.dtype == DType::kF64;
    if (!IsFloat(input.dtype) && input.dtype != DType::kBool) {
      return CompileError(launch, "wants inputs of floats and bool");
    }
    WSI_ASSIGN_OR_RETURN(domain, BroadcastShapes(domain, input.shape));
  }
  Result<PointwiseAttributes> attributes =
      ReadPointwiseAttributes(launch.attributes, static_cast<int>(count), domain);
  if (!attributes.ok()) return CompileError(launch, attributes.status().message());
  WSI_RETURN_IF_ERROR(CheckOperands(launch, *attributes, domain));
  for (const PointwiseResult& result : attributes->results) is_wide |= result.dtype == DType::kF64;
  if (is_wide) return CompileProgram<double>(launch, domain, std::move(*attributes), context);
  return CompileProgram<float>(launch, domain, std::move(*attributes), context);
}

}  // namespace wsi::cpu
