#include "runtime/backends/row_slabs.h"

#include <algorithm>

#include "runtime/base/checked.h"

namespace wsi {

bool CanCutRows(const RowAxis& axis) {
  if (axis.pad_begin >= axis.Extent() || axis.pad_end >= axis.Extent()) return false;
  return axis.Extent() >= axis.stride || axis.pad_begin % axis.stride == 0;
}

RowSlab OutputRows(const RowAxis& axis, int64_t begin, int64_t end) {
  RowSlab slab{.output_begin = begin, .output_rows = end - begin};
  const int64_t first = begin * axis.stride - axis.pad_begin;
  const int64_t last = (end - 1) * axis.stride - axis.pad_begin + axis.Extent();
  slab.input_begin = std::max<int64_t>(0, first);
  int64_t input_end = std::min(axis.input, last);
  // Whole strides of input keep strided 1x1 kernels on their fast path.
  if (axis.kernel == 1 && axis.pad_begin == 0) {
    input_end = std::min(axis.input, std::max(input_end, end * axis.stride));
  }
  slab.input_rows = input_end - slab.input_begin;
  slab.pad_begin = slab.input_begin - first;
  slab.pad_end = std::max<int64_t>(0, last - input_end);
  return slab;
}

RowSlab InputRows(const RowAxis& axis, int64_t begin, int64_t end) {
  RowSlab slab{.input_begin = begin, .input_rows = end - begin};
  const int64_t reach = begin + axis.pad_begin - (axis.Extent() - 1);
  slab.output_begin = reach <= 0 ? 0 : CeilDiv(reach, axis.stride);
  const int64_t output_end = std::min(axis.output, (end - 1 + axis.pad_begin) / axis.stride + 1);
  slab.output_rows = std::max<int64_t>(0, output_end - slab.output_begin);
  slab.pad_begin = axis.pad_begin + begin - slab.output_begin * axis.stride;
  slab.pad_end = std::max<int64_t>(
      0, (slab.output_rows - 1) * axis.stride + axis.Extent() - slab.pad_begin - slab.input_rows);
  return slab;
}

}  // namespace wsi
