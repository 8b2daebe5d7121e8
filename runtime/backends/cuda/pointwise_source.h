// The CUDA text of pointwise kernels.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/pointwise_program.h"
#include "runtime/base/status.h"

namespace wsi::cuda {

// A result: the value of a step, stored as `dtype`.
struct StoredStep {
  int step = 0;
  DType dtype = DType::kF32;
};

// What a pointwise kernel is apart from the sizes of its operands.
struct PointwiseSource {
  const PointwiseProgram* program = nullptr;  // Null: a cast of the only input.
  std::vector<DType> inputs;
  std::vector<StoredStep> results;
  DType computed = DType::kF32;  // What steps compute in: f32, f64 or an integer's.
  // Elements next to each other along the innermost axis, which a thread computes.
  int width = 1;
  std::vector<bool> still;  // By input: whether it stands still along that axis.
  int rank = 1;             // Of the axes.
};

inline constexpr const char* kPointwiseKernel = "pointwise";

// The text of
//   pointwise(Operands operands, Axes axes, long long packs)
// where Operands holds the addresses of the inputs and of the results behind them, and
// Axes the axes' sizes and, for each operand, strides, as 64-bit numbers; `packs` is the
// number of packs of `width` elements. kInvalidInput where a step cannot compute in that
// type.
Result<std::string> MakePointwiseSource(const PointwiseSource& source);

// What a kernel of sums is apart from sizes. Axes are those that are kept and then those
// that are summed over; a block has `columns` times kSumThreads / columns threads: results,
// next to each other, times terms.
struct SumSource {
  const PointwiseProgram* program = nullptr;
  std::vector<DType> inputs;
  std::vector<StoredStep> results;
  DType computed = DType::kF32;
  int kept_rank = 1;
  int summed_rank = 1;
  int columns = 1;
};

inline constexpr int kSumThreads = 256;
inline constexpr const char* kPartialSums = "partial_sums";
inline constexpr const char* kFinishSums = "finish_sums";

// The text of
//   partial_sums(Operands operands, Kept kept, Summed summed, long long count,
//                long long terms, long long part, double* partial)
//   finish_sums(Results results, long long count, int parts, double factor,
//               const double* partial)
// where Operands holds the addresses of the inputs and Results those of the results; Kept
// and Summed hold the axes' sizes and each input's strides; `count` results have `terms`
// terms each, blockIdx.y of which, `part` long, a block sums in fp64.
// partial: [result number][part][result]
Result<std::string> MakeSumSource(const SumSource& source);

}  // namespace wsi::cuda
