// How a pointwise program walks its domain: blocks of up to kBlockElements neighbouring
// elements, small enough that every intermediate result of a block stays in the cache.
//
// Axes that all operands walk as one are merged; what is left is
//
//   outer axes  x  rows  x  columns
//
// and a block is a run of columns of one row or, where rows are short, several whole
// rows. Sums are operands, too: with stride 0 along the axes they sum over. The leading
// axes along which they have none are split into slices whose sums are independent.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

inline constexpr int64_t kBlockElements = 1024;

class PointwiseBlocks {
 public:
  struct Block {
    int64_t begin = 0;  // In the domain, row-major; the block is contiguous there.
    int64_t rows = 0;
    int64_t columns = 0;
    int64_t elements() const { return rows * columns; }
  };

  // The last `sums` of the operands are sums over the domain.
  static Result<PointwiseBlocks> Make(const LaunchSpec& launch, std::span<const Shape> operands,
                                      size_t sums, const Shape& domain);

  int64_t count() const { return slices_ * blocks_per_slice_; }
  int64_t slices() const { return slices_; }
  int64_t blocks_per_slice() const { return blocks_per_slice_; }
  int64_t elements_per_slice() const { return elements_ / std::max<int64_t>(1, slices_); }

  Block At(int64_t block) const;
  // Of operand k at the block's first element.
  int64_t Offset(size_t k, const Block& block) const;
  int64_t row_stride(size_t k) const { return strides_[rows_axis()][k]; }
  int64_t column_stride(size_t k) const { return strides_.back()[k]; }
  // Along both axes of a block.
  bool IsContiguous(size_t k) const;
  bool IsOneNumber(size_t k) const;
  // More than one row a block.
  bool IsTall() const { return rows_per_block_ > 1; }

 private:
  size_t rows_axis() const { return sizes_.size() - 2; }

  int64_t elements_ = 0;
  // At least two axes, outermost first: outer ones, rows, columns.
  std::vector<int64_t> sizes_;
  std::vector<std::vector<int64_t>> strides_;  // Per axis, of each operand: in elements.
  int64_t rows_per_block_ = 1;
  int64_t columns_per_block_ = 1;
  int64_t blocks_per_outer_ = 0;
  int64_t blocks_per_row_ = 1;
  int64_t slices_ = 1;
  int64_t blocks_per_slice_ = 0;
};

}  // namespace wsi::cpu
