#include "runtime/base/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace wsi {
namespace {

// Calls `f` with a zero of the C++ type that stores `dtype`; halves are uint16_t.
template <typename F>
auto WithStorage(DType dtype, F f) {
  switch (dtype) {
    case DType::kF32: return f(float{});
    case DType::kF64: return f(double{});
    case DType::kF16:
    case DType::kBF16: return f(uint16_t{});
    case DType::kI64: return f(int64_t{});
    case DType::kI32: return f(int32_t{});
    case DType::kU8:
    case DType::kBool: return f(uint8_t{});
    case DType::kI8: return f(int8_t{});
    case DType::kI16: return f(int16_t{});
    case DType::kU16: return f(uint16_t{});
    case DType::kU32: return f(uint32_t{});
    case DType::kU64: return f(uint64_t{});
  }
  CheckFailed(__FILE__, __LINE__, "known element type");
}

double LoadDouble(DType dtype, const std::byte* data, size_t i) {
  return WithStorage(dtype, [&](auto zero) -> double {
    decltype(zero) v;
    std::memcpy(&v, data + i * sizeof(v), sizeof(v));
    if (dtype == DType::kF16) return static_cast<double>(HalfToFloat(static_cast<uint16_t>(v)));
    if (dtype == DType::kBF16)
      return static_cast<double>(BFloat16ToFloat(static_cast<uint16_t>(v)));
    return static_cast<double>(v);
  });
}

// Of any type; what is below 0 becomes 0, what is above the largest that.
uint64_t LoadUnsigned(DType dtype, const std::byte* data, size_t i) {
  return WithStorage(dtype, [&](auto zero) -> uint64_t {
    decltype(zero) v;
    std::memcpy(&v, data + i * sizeof(v), sizeof(v));
    if constexpr (std::is_integral_v<decltype(zero)>) {
      if (!IsFloat(dtype)) return v < 0 ? 0 : static_cast<uint64_t>(v);
    }
    const double number = LoadDouble(dtype, data, i);
    if (!(number > 0)) return 0;
    return number >= 0x1p64 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(number);
  });
}

int64_t LoadInt(DType dtype, const std::byte* data, size_t i) {
  if (dtype == DType::kI64) {
    int64_t v;
    std::memcpy(&v, data + i * sizeof(v), sizeof(v));
    return v;
  }
  if (dtype == DType::kU64) {
    const auto v = LoadUnsigned(dtype, data, i);
    return static_cast<int64_t>(std::min<uint64_t>(v, std::numeric_limits<int64_t>::max()));
  }
  const double v = LoadDouble(dtype, data, i);
  if (std::isnan(v)) return 0;
  if (v >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (v < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

template <typename T>
T Saturate(int64_t v) {
  if (v < static_cast<int64_t>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (v > static_cast<int64_t>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(v);
}

template <typename T>
void Put(std::byte* data, size_t i, T v) {
  std::memcpy(data + i * sizeof(T), &v, sizeof(T));
}

void StoreCast(DType to, std::byte* out, DType from, const std::byte* in, size_t i) {
  switch (to) {
    case DType::kF32: return Put(out, i, static_cast<float>(LoadDouble(from, in, i)));
    case DType::kF64: return Put(out, i, LoadDouble(from, in, i));
    case DType::kF16: return Put(out, i, FloatToHalf(static_cast<float>(LoadDouble(from, in, i))));
    case DType::kBF16:
      return Put(out, i, FloatToBFloat16(static_cast<float>(LoadDouble(from, in, i))));
    case DType::kI64: return Put(out, i, LoadInt(from, in, i));
    case DType::kI32: return Put(out, i, Saturate<int32_t>(LoadInt(from, in, i)));
    case DType::kU8: return Put(out, i, Saturate<uint8_t>(LoadInt(from, in, i)));
    case DType::kI8: return Put(out, i, Saturate<int8_t>(LoadInt(from, in, i)));
    case DType::kI16: return Put(out, i, Saturate<int16_t>(LoadInt(from, in, i)));
    case DType::kU16: return Put(out, i, Saturate<uint16_t>(LoadInt(from, in, i)));
    case DType::kU32: return Put(out, i, Saturate<uint32_t>(LoadInt(from, in, i)));
    case DType::kU64: return Put(out, i, LoadUnsigned(from, in, i));
    case DType::kBool: return Put(out, i, static_cast<uint8_t>(LoadDouble(from, in, i) != 0));
  }
}

}  // namespace

Result<Tensor> Tensor::Make(DType dtype, Shape shape) {
  const Bytes bytes = AlignUp(std::max<Bytes>(shape.ByteCount(dtype), 1), 64);
  Tensor tensor;
  tensor.data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(bytes))));
  if (!tensor.data_) {
    return ResourceError(fmt::format("no memory for a tensor of {}", FormatBytes(bytes)));
  }
  std::memset(tensor.data_.get(), 0, static_cast<size_t>(bytes));
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Result<Tensor> Tensor::Clone() const {
  WSI_ASSIGN_OR_RETURN(Tensor copy, Make(dtype_, shape_));
  if (byte_count() > 0) std::memcpy(copy.data_.get(), data_.get(), bytes().size());
  return copy;
}

Result<Tensor> Tensor::Cast(DType dtype) const {
  if (dtype == dtype_) return Clone();
  WSI_ASSIGN_OR_RETURN(Tensor out, Make(dtype, shape_));
  const auto count = static_cast<size_t>(shape_.ElementCount());
  for (size_t i = 0; i < count; ++i) StoreCast(dtype, out.data_.get(), dtype_, data_.get(), i);
  return out;
}

Result<Tensor> Tensor::Permute(std::span<const int64_t> permutation) const {
  WSI_ASSIGN_OR_RETURN(Tensor out, Make(dtype_, PermuteShape(shape_, permutation)));
  const int rank = shape_.rank();
  std::vector<int64_t> stride(static_cast<size_t>(rank),
                              1);  // Of the result's axes, in elements of this.
  for (int i = 0; i < rank; ++i) {
    for (int j = static_cast<int>(permutation[static_cast<size_t>(i)]) + 1; j < rank; ++j) {
      stride[static_cast<size_t>(i)] *= shape_[j];
    }
  }
  const auto width = static_cast<size_t>(DTypeBytes(dtype_));
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  const int64_t count = shape_.ElementCount();
  int64_t source = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(out.data_.get() + static_cast<size_t>(i) * width,
                data_.get() + static_cast<size_t>(source) * width, width);
    for (int axis = rank - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      source += stride[a];
      if (++index[a] < out.shape_[axis]) break;
      source -= stride[a] * index[a];
      index[a] = 0;
    }
  }
  return out;
}

Tensor Tensor::Reshaped(Shape shape) && {
  WSI_CHECK(shape.ElementCount() == shape_.ElementCount());
  Tensor out = std::move(*this);
  out.shape_ = std::move(shape);
  return out;
}

std::vector<double> Tensor::ToDoubles() const {
  std::vector<double> values(static_cast<size_t>(shape_.ElementCount()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = LoadDouble(dtype_, data_.get(), i);
  return values;
}

std::vector<int64_t> Tensor::ToInts() const {
  std::vector<int64_t> values(static_cast<size_t>(shape_.ElementCount()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = LoadInt(dtype_, data_.get(), i);
  return values;
}

bool Tensor::operator==(const Tensor& other) const {
  return dtype_ == other.dtype_ && shape_ == other.shape_ &&
         (byte_count() == 0 || std::memcmp(data_.get(), other.data_.get(), bytes().size()) == 0);
}

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {  // Zero or subnormal: mantissa * 2^-24.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const float magnitude = std::bit_cast<float>(bits & 0x7FFFFFFFU);
  if (std::isnan(magnitude)) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 65520.0F) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x1p-14F) {  // Subnormal: adding 0.5 rounds at 2^-24.
    const uint32_t rounded = std::bit_cast<uint32_t>(magnitude + 0.5F);
    return static_cast<uint16_t>(sign | (rounded - std::bit_cast<uint32_t>(0.5F)));
  }
  uint32_t m = std::bit_cast<uint32_t>(magnitude);
  m += 0xFFFU + ((m >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((m >> 13) - (112U << 10)));
}

float BFloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t FloatToBFloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  bits += 0x7FFFU + ((bits >> 16) & 1U);
  return static_cast<uint16_t>(bits >> 16);
}

}  // namespace wsi
