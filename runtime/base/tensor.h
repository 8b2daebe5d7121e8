// A dense tensor in host memory that owns its bytes, row-major.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"

namespace wsi {

// Move-only; Clone copies. The storage is aligned to 64 bytes.
class Tensor {
 public:
  Tensor() = default;
  // Zero-filled. kResources if the memory cannot be had.
  static Result<Tensor> Make(DType dtype, Shape shape);
  // A tensor of T's type holding `values`. REQUIRES: as many values as elements.
  template <typename T>
  static Tensor Of(Shape shape, std::span<const T> values);

  Result<Tensor> Clone() const;
  // The same values as `dtype`, rounded to nearest even; integers saturate.
  Result<Tensor> Cast(DType dtype) const;
  // axes[i] of the result is axis permutation[i] of this.
  Result<Tensor> Permute(std::span<const int64_t> permutation) const;
  // The same bytes under another shape. REQUIRES: as many elements.
  Tensor Reshaped(Shape shape) &&;

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  Bytes byte_count() const { return shape_.ByteCount(dtype_); }
  std::span<std::byte> bytes() { return {data_.get(), static_cast<size_t>(byte_count())}; }
  std::span<const std::byte> bytes() const {
    return {data_.get(), static_cast<size_t>(byte_count())};
  }
  // REQUIRES: T is the C++ type of dtype() (checked by size only).
  template <typename T>
  std::span<T> data() {
    WSI_CHECK(static_cast<Bytes>(sizeof(T)) == DTypeBytes(dtype_));
    return {reinterpret_cast<T*>(data_.get()), static_cast<size_t>(shape_.ElementCount())};
  }
  template <typename T>
  std::span<const T> data() const {
    WSI_CHECK(static_cast<Bytes>(sizeof(T)) == DTypeBytes(dtype_));
    return {reinterpret_cast<const T*>(data_.get()), static_cast<size_t>(shape_.ElementCount())};
  }
  // All elements as doubles or as int64_t, whatever the type; ToInts saturates.
  std::vector<double> ToDoubles() const;
  std::vector<int64_t> ToInts() const;

  // Bit for bit.
  bool operator==(const Tensor& other) const;

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  DType dtype_ = DType::kF32;
  Shape shape_ = {0};
  std::unique_ptr<std::byte[], Free> data_;
};

// The DType of a C++ element type.
template <typename T>
constexpr DType DTypeOf();
template <>
constexpr DType DTypeOf<float>() {
  return DType::kF32;
}
template <>
constexpr DType DTypeOf<double>() {
  return DType::kF64;
}
template <>
constexpr DType DTypeOf<int64_t>() {
  return DType::kI64;
}
template <>
constexpr DType DTypeOf<int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType DTypeOf<uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType DTypeOf<int8_t>() {
  return DType::kI8;
}
template <>
constexpr DType DTypeOf<int16_t>() {
  return DType::kI16;
}
template <>
constexpr DType DTypeOf<uint16_t>() {
  return DType::kU16;
}
template <>
constexpr DType DTypeOf<uint32_t>() {
  return DType::kU32;
}
template <>
constexpr DType DTypeOf<uint64_t>() {
  return DType::kU64;
}
template <>
constexpr DType DTypeOf<bool>() {
  return DType::kBool;
}

template <typename T>
Tensor Tensor::Of(Shape shape, std::span<const T> values) {  // NOLINT(performance-unnecessary-*)
  Tensor tensor = Make(DTypeOf<T>(), std::move(shape)).value();
  WSI_CHECK(tensor.data<T>().size() == values.size());
  for (size_t i = 0; i < values.size(); ++i) tensor.data<T>()[i] = values[i];
  return tensor;
}

// IEEE 754 binary16 and bfloat16 to and from float, rounding to nearest even.
float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t bits);
uint16_t FloatToBFloat16(float value);

}  // namespace wsi
