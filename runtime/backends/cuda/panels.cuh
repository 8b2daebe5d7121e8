// Operands of tensor cores in shared memory: panels of 64 columns of 2-byte elements and any
// multiple of 8 rows, the sum running over rows. A row's packs of 8 elements are exchanged
// so that eight rows' packs of one column are in different banks.
#pragma once

namespace wsi::cuda {

inline constexpr int kPanelColumns = 64;
inline constexpr int kPackElements = 8;  // 16 bytes.

// Where pack `pack` of row `row` of a panel is, in elements.
__device__ inline int PanelAt(int row, int pack) {
  return row * kPanelColumns + (pack ^ (row % 8)) * kPackElements;
}

}  // namespace wsi::cuda
