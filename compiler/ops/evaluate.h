// Evaluation of constants for OpDef::fold: integers exactly, floats in double and
// rounded once to their type.
#pragma once

#include <span>
#include <vector>

#include "compiler/ops/op_def.h"

namespace wsi {

using FoldedTensors = Result<std::vector<Tensor>>;
using FoldFunction = FoldedTensors (*)(const OpView&, std::span<const Tensor* const>);

// The one output of a node.
FoldedTensors OneTensor(Result<Tensor> tensor);

// Operand i. REQUIRES: it is a constant, which whoever folds has checked.
const Tensor& Constant(std::span<const Tensor* const> inputs, size_t i);

// The elements of an integer constant; one above 2^63 - 1 is an error.
Result<std::vector<int64_t>> IntsOf(const Tensor& tensor);

// Values as a tensor; an integer that `dtype` cannot hold is an error.
Result<Tensor> TensorFromInts(DType dtype, const Shape& shape, std::span<const int64_t> values);
Result<Tensor> TensorFromDoubles(DType dtype, const Shape& shape, std::span<const double> values);

// The elements at offset + sum of index[k] * strides[k] over the row-major indices below
// `sizes`, in that order. Strides in elements; 0 repeats. REQUIRES: `shape` has as many
// elements as `sizes`, and all positions are inside `source`.
Result<Tensor> CopyStrided(const Tensor& source, const Shape& shape, std::span<const int64_t> sizes,
                           std::span<const int64_t> strides, int64_t offset);
// Element strides of a row-major tensor.
std::vector<int64_t> RowMajorStrides(const Shape& shape);
// `source` stretched to `shape`. REQUIRES: it broadcasts to it.
Result<Tensor> Stretch(const Tensor& source, const Shape& shape);

// Calls f(i, position) for the i-th row-major index below `sizes`.
template <typename F>
void WalkStrided(std::span<const int64_t> sizes, std::span<const int64_t> strides, int64_t offset,
                 F f) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  std::vector<int64_t> index(sizes.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    f(static_cast<size_t>(i), static_cast<size_t>(offset));
    for (size_t axis = sizes.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < sizes[axis]) break;
      offset -= strides[axis] * index[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace wsi
