#include "compiler/ops/evaluate.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace wsi {

FoldedTensors OneTensor(Result<Tensor> tensor) {
  if (!tensor.ok()) return tensor.status();
  std::vector<Tensor> tensors;
  tensors.push_back(std::move(tensor).value());
  return tensors;
}

const Tensor& Constant(std::span<const Tensor* const> inputs, size_t i) {
  WSI_CHECK(i < inputs.size() && inputs[i] != nullptr);
  return *inputs[i];
}

Result<std::vector<int64_t>> IntsOf(const Tensor& tensor) {
  if (tensor.dtype() == DType::kU64) {
    for (const uint64_t value : tensor.data<uint64_t>()) {
      if (std::in_range<int64_t>(value)) continue;
      return InvalidInput(fmt::format("constant {} is too large to compute with", value));
    }
  }
  return tensor.ToInts();
}

Result<Tensor> TensorFromInts(DType dtype, const Shape& shape, std::span<const int64_t> values) {
  WSI_ASSIGN_OR_RETURN(Tensor wide, Tensor::Make(DType::kI64, shape));
  WSI_CHECK(values.size() == wide.data<int64_t>().size());
  if (!values.empty()) std::memcpy(wide.bytes().data(), values.data(), values.size_bytes());
  if (dtype == DType::kI64) return wide;
  WSI_ASSIGN_OR_RETURN(Tensor narrow, wide.Cast(dtype));
  if (IsFloat(dtype) || dtype == DType::kBool) return narrow;
  const std::vector<int64_t> kept = narrow.ToInts();
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != values[i]) {
      return InvalidInput(
          fmt::format("constant {} does not fit element type {}", values[i], DTypeName(dtype)));
    }
  }
  return narrow;
}

Result<Tensor> TensorFromDoubles(DType dtype, const Shape& shape, std::span<const double> values) {
  WSI_ASSIGN_OR_RETURN(Tensor wide, Tensor::Make(DType::kF64, shape));
  WSI_CHECK(values.size() == wide.data<double>().size());
  if (!values.empty()) std::memcpy(wide.bytes().data(), values.data(), values.size_bytes());
  if (dtype == DType::kF64) return wide;
  return wide.Cast(dtype);
}

Result<Tensor> CopyStrided(const Tensor& source, const Shape& shape, std::span<const int64_t> sizes,
                           std::span<const int64_t> strides, int64_t offset) {
  WSI_ASSIGN_OR_RETURN(Tensor out, Tensor::Make(source.dtype(), shape));
  const auto width = static_cast<size_t>(DTypeBytes(source.dtype()));
  const std::byte* from = source.bytes().data();
  std::byte* to = out.bytes().data();
  WalkStrided(sizes, strides, offset, [&](size_t i, size_t position) {
    std::memcpy(to + i * width, from + position * width, width);
  });
  return out;
}

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 1);
  for (size_t i = strides.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * shape[static_cast<int>(i)];
  }
  return strides;
}

Result<Tensor> Stretch(const Tensor& source, const Shape& shape) {
  if (source.shape() == shape) return source.Clone();
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 0);
  const std::vector<int64_t> own = RowMajorStrides(source.shape());
  const size_t extra = strides.size() - own.size();
  for (size_t i = 0; i < own.size(); ++i) {
    if (source.shape()[static_cast<int>(i)] != 1) strides[extra + i] = own[i];
  }
  return CopyStrided(source, shape, shape.sizes(), strides, 0);
}

}  // namespace wsi
