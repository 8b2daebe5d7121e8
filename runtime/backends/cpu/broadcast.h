// Numpy broadcasting as runs: an elementwise operator over operands of different
// shapes becomes inner loops in which each operand has stride 1 or 0, or any one
// stride in the general case.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// Stride of each axis of `out` in an operand of shape `shape`, 0 where it is stretched.
Result<std::vector<int64_t>> OperandStrides(const LaunchSpec& launch, const Shape& shape,
                                            const Shape& out);

class Broadcast {
 public:
  static constexpr int kMaxOperands = 3;
  using Offsets = std::array<int64_t, kMaxOperands>;

  // Walks `out` in row-major order; operand k has shape operands[k], which broadcasts
  // to `out`, or an error.
  static Result<Broadcast> Make(const LaunchSpec& launch, std::span<const Shape> operands,
                                const Shape& out);

  int64_t inner() const { return inner_; }
  // Stride of operand k within a run: 0 or 1.
  int64_t inner_stride(int k) const { return inner_strides_[static_cast<size_t>(k)]; }

  // run(offsets of the operands, offset of the output, elements), in parallel.
  template <typename F>
  void ForEachRun(ThreadPool& pool, const F& run) const {
    const int64_t pieces = CeilDiv(inner_, kGrain);
    if (pieces > 1) {
      pool.ParallelFor(rows_ * pieces, [&](int64_t chunk, int) {
        const int64_t row = chunk / pieces;
        const int64_t begin = chunk % pieces * kGrain;
        Offsets offsets = RowOffsets(row);
        for (size_t k = 0; k < offsets.size(); ++k) offsets[k] += begin * inner_strides_[k];
        run(offsets, row * inner_ + begin, std::min(kGrain, inner_ - begin));
      });
      return;
    }
    ForChunks(pool, ChunksOf(rows_, inner_, kGrain), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) {
        run(RowOffsets(row), row * inner_, inner_);
      }
    });
  }

 private:
  Offsets RowOffsets(int64_t row) const {
    Offsets offsets{};
    for (size_t d = sizes_.size(); d-- > 0;) {
      const int64_t index = row % sizes_[d];
      row /= sizes_[d];
      for (size_t k = 0; k < offsets.size(); ++k) offsets[k] += index * strides_[d][k];
    }
    return offsets;
  }

  int64_t rows_ = 1;
  int64_t inner_ = 1;
  Offsets inner_strides_{};
  std::vector<int64_t> sizes_;    // Outer axes.
  std::vector<Offsets> strides_;  // Of the operands, per outer axis.
};

}  // namespace wsi::cpu
