#include "runtime/backends/cpu/pointwise_blocks.h"

#include <algorithm>

#include "runtime/backends/cpu/broadcast.h"

namespace wsi::cpu {
namespace {

// Rows shorter than this are taken several at a time.
constexpr int64_t kShortRow = kBlockElements / 2;

}  // namespace

Result<PointwiseBlocks> PointwiseBlocks::Make(const LaunchSpec& launch,
                                              std::span<const Shape> operands, size_t sums,
                                              const Shape& domain) {
  std::vector<std::vector<int64_t>> all;  // Per operand, of each axis.
  for (const Shape& shape : operands) {
    WSI_ASSIGN_OR_RETURN(std::vector<int64_t> strides, OperandStrides(launch, shape, domain));
    all.push_back(std::move(strides));
  }
  PointwiseBlocks blocks;
  blocks.elements_ = domain.ElementCount();
  for (int axis = 0; axis < domain.rank(); ++axis) {
    if (domain[axis] == 1) continue;
    std::vector<int64_t> here;
    here.reserve(all.size());
    for (const auto& strides : all) here.push_back(strides[static_cast<size_t>(axis)]);
    bool merges = !blocks.sizes_.empty();
    for (size_t k = 0; merges && k < here.size(); ++k) {
      merges = blocks.strides_.back()[k] == here[k] * domain[axis];
    }
    if (merges) {
      blocks.sizes_.back() *= domain[axis];
      blocks.strides_.back() = std::move(here);
    } else {
      blocks.sizes_.push_back(domain[axis]);
      blocks.strides_.push_back(std::move(here));
    }
  }
  while (blocks.sizes_.size() < 2) {
    blocks.sizes_.insert(blocks.sizes_.begin(), 1);
    blocks.strides_.insert(blocks.strides_.begin(), std::vector<int64_t>(all.size(), 0));
  }
  // Slices: the leading axes that are kept, the columns excepted.
  size_t kept = 0;
  const auto is_kept = [&](size_t axis) {
    return blocks.sizes_[axis] == 1 || blocks.strides_[axis].back() != 0;
  };
  while (sums > 0 && kept < blocks.sizes_.size() - 1 && is_kept(kept)) {
    blocks.slices_ *= blocks.sizes_[kept++];
  }
  const int64_t rows = blocks.sizes_[blocks.rows_axis()];
  const int64_t columns = blocks.sizes_.back();
  const bool is_tall = columns < kShortRow && kept <= blocks.rows_axis() && rows > 1;
  blocks.rows_per_block_ =
      is_tall ? std::min(rows, kBlockElements / std::max<int64_t>(1, columns)) : 1;
  blocks.columns_per_block_ = std::min(columns, kBlockElements);
  blocks.blocks_per_row_ = columns == 0 ? 0 : CeilDiv(columns, blocks.columns_per_block_);
  blocks.blocks_per_outer_ = CeilDiv(rows, blocks.rows_per_block_) * blocks.blocks_per_row_;
  if (blocks.elements_ == 0) return blocks;
  const int64_t outer = blocks.elements_ / (rows * columns);
  blocks.blocks_per_slice_ = outer * blocks.blocks_per_outer_ / blocks.slices_;
  return blocks;
}

PointwiseBlocks::Block PointwiseBlocks::At(int64_t block) const {
  const int64_t rows = sizes_[rows_axis()];
  const int64_t columns = sizes_.back();
  const int64_t outer = block / blocks_per_outer_;
  const int64_t inside = block % blocks_per_outer_;
  const int64_t row = inside / blocks_per_row_ * rows_per_block_;
  const int64_t column = inside % blocks_per_row_ * columns_per_block_;
  return {.begin = (outer * rows + row) * columns + column,
          .rows = std::min(rows_per_block_, rows - row),
          .columns = std::min(columns_per_block_, columns - column)};
}

int64_t PointwiseBlocks::Offset(size_t k, const Block& block) const {
  int64_t offset = 0;
  int64_t left = block.begin;
  for (size_t axis = sizes_.size(); axis-- > 0;) {
    offset += left % sizes_[axis] * strides_[axis][k];
    left /= sizes_[axis];
  }
  return offset;
}

bool PointwiseBlocks::IsContiguous(size_t k) const {
  return column_stride(k) == 1 && (!IsTall() || row_stride(k) == sizes_.back());
}

bool PointwiseBlocks::IsOneNumber(size_t k) const {
  return column_stride(k) == 0 && (!IsTall() || row_stride(k) == 0);
}

}  // namespace wsi::cpu
