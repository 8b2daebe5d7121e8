// How rows of a convolution are cut: a slab of output rows reads a run of input rows and
// has leading and trailing padding of its own, and computes what the whole would.
#pragma once

#include <cstdint>

namespace wsi {

// Output row o reads inputs o * stride - pad_begin + k * dilation, k < kernel, as far as
// they are inside.
struct RowAxis {
  int64_t input = 1;
  int64_t output = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
  int64_t Extent() const { return (kernel - 1) * dilation + 1; }
};

struct RowSlab {
  int64_t input_begin = 0;
  int64_t input_rows = 0;
  int64_t output_begin = 0;
  int64_t output_rows = 0;  // 0: no output reads these inputs, their gradient is 0.
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
};

// Whether slabs exist: rows that read nothing but padding have none, nor have windows
// that skip rows where the padding is no multiple of their stride.
bool CanCutRows(const RowAxis& axis);
// Output rows [begin, end) and the inputs that they read.
RowSlab OutputRows(const RowAxis& axis, int64_t begin, int64_t end);
// Input rows [begin, end), begin a multiple of the stride, and the outputs that read them.
RowSlab InputRows(const RowAxis& axis, int64_t begin, int64_t end);

}  // namespace wsi
