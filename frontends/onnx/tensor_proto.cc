#include "frontends/onnx/tensor_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

using onnx::TensorProto;

struct TypePair {
  int onnx;
  DType dtype;
};
constexpr TypePair kTypes[] = {
    {TensorProto::FLOAT, DType::kF32},   {TensorProto::DOUBLE, DType::kF64},
    {TensorProto::FLOAT16, DType::kF16}, {TensorProto::BFLOAT16, DType::kBF16},
    {TensorProto::INT64, DType::kI64},   {TensorProto::INT32, DType::kI32},
    {TensorProto::UINT8, DType::kU8},    {TensorProto::BOOL, DType::kBool},
    {TensorProto::INT8, DType::kI8},     {TensorProto::INT16, DType::kI16},
    {TensorProto::UINT16, DType::kU16},  {TensorProto::UINT32, DType::kU32},
    {TensorProto::UINT64, DType::kU64},
};

Result<int64_t> ParseCount(std::string_view key, std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || number < 0) {
    return InvalidInput(
        fmt::format("external data {} '{}' is no count of bytes", key, Printable(text)));
  }
  return number;
}

// Copies a typed field of 32-bit integers that stand for `T`s.
template <typename T>
Status CopyNarrow(const TensorProto& proto, Tensor& tensor) {
  const std::span<T> to = tensor.data<T>();
  for (int i = 0; i < proto.int32_data_size(); ++i) {
    const int32_t value = proto.int32_data(i);
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
      return InvalidInput(
          fmt::format("value {} does not fit type {}", value, DTypeName(tensor.dtype())));
    }
    to[static_cast<size_t>(i)] = static_cast<T>(value);
  }
  return {};
}

// The same of 64-bit integers that stand for 32 bits.
Status CopyUnsigned(const TensorProto& proto, Tensor& tensor) {
  const std::span<uint32_t> to = tensor.data<uint32_t>();
  for (int i = 0; i < proto.uint64_data_size(); ++i) {
    const uint64_t value = proto.uint64_data(i);
    if (value > std::numeric_limits<uint32_t>::max()) {
      return InvalidInput(fmt::format("value {} does not fit type u32", value));
    }
    to[static_cast<size_t>(i)] = static_cast<uint32_t>(value);
  }
  return {};
}

// How many values the typed field of `dtype` holds.
int TypedSize(const TensorProto& proto, DType dtype) {
  switch (dtype) {
    case DType::kF32: return proto.float_data_size();
    case DType::kF64: return proto.double_data_size();
    case DType::kI64: return proto.int64_data_size();
    case DType::kU32:
    case DType::kU64: return proto.uint64_data_size();
    default: return proto.int32_data_size();
  }
}

Status CopyTyped(const TensorProto& proto, Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kF32: std::ranges::copy(proto.float_data(), tensor.data<float>().begin()); break;
    case DType::kF64: std::ranges::copy(proto.double_data(), tensor.data<double>().begin()); break;
    case DType::kI64: std::ranges::copy(proto.int64_data(), tensor.data<int64_t>().begin()); break;
    case DType::kI32: std::ranges::copy(proto.int32_data(), tensor.data<int32_t>().begin()); break;
    case DType::kU8:
    case DType::kBool: return CopyNarrow<uint8_t>(proto, tensor);
    case DType::kU64:
      std::ranges::copy(proto.uint64_data(), tensor.data<uint64_t>().begin());
      break;
    case DType::kU32: return CopyUnsigned(proto, tensor);
    case DType::kI8: return CopyNarrow<int8_t>(proto, tensor);
    case DType::kI16: return CopyNarrow<int16_t>(proto, tensor);
    case DType::kU16:
    case DType::kF16:
    case DType::kBF16: return CopyNarrow<uint16_t>(proto, tensor);
  }
  return {};
}

int ValueFields(const TensorProto& proto) {
  return (proto.has_raw_data() && !proto.raw_data().empty() ? 1 : 0) +
         (proto.float_data_size() > 0) + (proto.int32_data_size() > 0) +
         (proto.string_data_size() > 0) + (proto.int64_data_size() > 0) +
         (proto.double_data_size() > 0) + (proto.uint64_data_size() > 0);
}

void FreeValues(TensorProto& proto) {
  std::string().swap(*proto.mutable_raw_data());
  google::protobuf::RepeatedField<float>().Swap(proto.mutable_float_data());
  google::protobuf::RepeatedField<int32_t>().Swap(proto.mutable_int32_data());
  google::protobuf::RepeatedField<int64_t>().Swap(proto.mutable_int64_data());
  google::protobuf::RepeatedField<double>().Swap(proto.mutable_double_data());
  google::protobuf::RepeatedField<uint64_t>().Swap(proto.mutable_uint64_data());
}

// The check that comes before the memory is taken.
Status CheckInline(const TensorProto& proto, DType dtype, const Shape& shape) {
  const Bytes bytes = shape.ByteCount(dtype);
  if (!proto.raw_data().empty()) {
    if (static_cast<Bytes>(proto.raw_data().size()) == bytes) return {};
    return InvalidInput(fmt::format("raw_data has {} bytes, {} of {} want {}",
                                    proto.raw_data().size(), shape.ToString(), DTypeName(dtype),
                                    bytes));
  }
  if (TypedSize(proto, dtype) == shape.ElementCount()) return {};
  if (ValueFields(proto) == 0) return InvalidInput("holds no values");
  return InvalidInput(fmt::format("has {} values of its type {}, {} wants {}",
                                  TypedSize(proto, dtype), DTypeName(dtype), shape.ToString(),
                                  shape.ElementCount()));
}

}  // namespace

Result<DType> DTypeFromOnnx(int64_t data_type) {
  for (const TypePair& pair : kTypes) {
    if (pair.onnx == data_type) return pair.dtype;
  }
  std::string name = fmt::to_string(data_type);
  if (data_type >= 0 && data_type <= TensorProto::BFLOAT16) {
    name = TensorProto::DataType_Name(static_cast<TensorProto::DataType>(data_type));
  }
  return InvalidInput(
      fmt::format("element type {} is not supported (float, double, float16, bfloat16, integers "
                  "of 8 to 64 bits and bool are)",
                  name));
}

int DTypeToOnnx(DType dtype) {
  for (const TypePair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.onnx;
  }
  return 0;
}

Result<Shape> TensorProtoShape(const TensorProto& proto) {
  return Shape::Make({proto.dims().data(), static_cast<size_t>(proto.dims_size())});
}

bool IsExternal(const TensorProto& proto) {
  return proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0;
}

bool HasValues(const TensorProto& proto) { return IsExternal(proto) || ValueFields(proto) > 0; }

Result<ExternalRange> ParseExternalRange(const TensorProto& proto, Bytes bytes) {
  std::optional<std::string> location;
  std::optional<int64_t> offset;
  std::optional<int64_t> length;
  for (const auto& entry : proto.external_data()) {
    const std::string& key = entry.key();
    const bool twice = (key == "location" && location) || (key == "offset" && offset) ||
                       (key == "length" && length);
    if (twice) return InvalidInput(fmt::format("external data states {} twice", key));
    if (key == "location") location = entry.value();
    if (key == "offset") {
      WSI_ASSIGN_OR_RETURN(offset, ParseCount(key, entry.value()));
    }
    if (key == "length") {
      WSI_ASSIGN_OR_RETURN(length, ParseCount(key, entry.value()));
    }
  }
  if (!location) return InvalidInput("external data states no location");
  if (length && *length != bytes) {
    return InvalidInput(
        fmt::format("external data length is {}, the shape wants {} bytes", *length, bytes));
  }
  return ExternalRange{*location, offset.value_or(0)};
}

Result<Tensor> TakeTensor(TensorProto& proto, ExternalData& external) {
  WSI_ASSIGN_OR_RETURN(const DType dtype, DTypeFromOnnx(proto.data_type()));
  WSI_ASSIGN_OR_RETURN(const Shape shape, TensorProtoShape(proto));
  if (proto.has_segment()) return InvalidInput("is one segment of a tensor; store it whole");
  if (ValueFields(proto) + (IsExternal(proto) ? 1 : 0) > 1) {
    return InvalidInput("holds its values in more than one field");
  }
  if (IsExternal(proto)) {
    const Bytes bytes = shape.ByteCount(dtype);
    WSI_ASSIGN_OR_RETURN(const ExternalRange range, ParseExternalRange(proto, bytes));
    WSI_ASSIGN_OR_RETURN(const int64_t size, external.Size(range.location));
    if (range.offset > size || bytes > size - range.offset) {
      return InvalidInput(fmt::format("external data '{}' has {} bytes; {} from {} are asked for",
                                      Printable(range.location), size, bytes, range.offset));
    }
    WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(dtype, shape));
    WSI_RETURN_IF_ERROR(external.Read(range.location, range.offset, tensor.bytes()));
    return tensor;
  }
  WSI_RETURN_IF_ERROR(CheckInline(proto, dtype, shape));
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(dtype, shape));
  if (!proto.raw_data().empty()) {
    std::memcpy(tensor.bytes().data(), proto.raw_data().data(), proto.raw_data().size());
  } else {
    WSI_RETURN_IF_ERROR(CopyTyped(proto, tensor));
  }
  if (dtype == DType::kBool) {
    for (std::byte& b : tensor.bytes()) b = std::byte{b != std::byte{0}};
  }
  FreeValues(proto);
  return tensor;
}

}  // namespace wsi
