#include "compiler/ir/numbers_text.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace wsi {
namespace {

template <typename T>
std::string PrintReal(T value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".einf") == std::string::npos) text += ".0";
  return text;
}

template <typename T>
std::optional<T> Read(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// from_chars takes "infinity" and "nan(...)" too; the text form has one spelling.
template <typename T>
std::optional<T> ReadReal(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty()) return std::nullopt;
  const bool is_word = digits == "inf" || digits == "nan";
  if (!is_word && digits.find_first_not_of("0123456789.eE+-") != std::string_view::npos) {
    return std::nullopt;
  }
  return Read<T>(text);
}

template <typename T>
bool StoreInt(std::string_view text, Tensor& tensor, size_t index) {
  const std::optional<T> value = Read<T>(text);
  if (!value) return false;
  tensor.data<T>()[index] = *value;
  return true;
}

}  // namespace

std::string PrintDouble(double value) { return PrintReal(value); }
std::string PrintFloat(float value) { return PrintReal(value); }

std::optional<int64_t> ReadInt(std::string_view text) { return Read<int64_t>(text); }
std::optional<double> ReadDouble(std::string_view text) { return ReadReal<double>(text); }
std::optional<float> ReadFloat(std::string_view text) { return ReadReal<float>(text); }

bool LooksLikeInt(std::string_view text) {
  return text.find_first_not_of("0123456789-") == std::string_view::npos;
}

std::string PrintElements(const Tensor& tensor) {
  std::string out = "[";
  const auto count = static_cast<size_t>(tensor.shape().ElementCount());
  const std::vector<double> reals =
      IsFloat(tensor.dtype()) ? tensor.ToDoubles() : std::vector<double>();
  const std::vector<int64_t> ints =
      IsFloat(tensor.dtype()) ? std::vector<int64_t>() : tensor.ToInts();
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    if (tensor.dtype() == DType::kF64) {
      out += PrintDouble(reals[i]);
    } else if (IsFloat(tensor.dtype())) {
      out += PrintFloat(static_cast<float>(reals[i]));  // Exact: f32, f16 and bf16.
    } else if (tensor.dtype() == DType::kU64) {
      out += fmt::to_string(tensor.data<uint64_t>()[i]);
    } else {
      out += fmt::to_string(ints[i]);
    }
  }
  return out + "]";
}

bool ReadElement(std::string_view text, Tensor& tensor, size_t index) {
  switch (tensor.dtype()) {
    case DType::kF64: {
      const std::optional<double> value = ReadDouble(text);
      if (value) tensor.data<double>()[index] = *value;
      return value.has_value();
    }
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16: {
      const std::optional<float> value = ReadFloat(text);
      if (!value) return false;
      if (tensor.dtype() == DType::kF32) tensor.data<float>()[index] = *value;
      if (tensor.dtype() == DType::kF16) tensor.data<uint16_t>()[index] = FloatToHalf(*value);
      if (tensor.dtype() == DType::kBF16) tensor.data<uint16_t>()[index] = FloatToBFloat16(*value);
      return true;
    }
    case DType::kI64: return StoreInt<int64_t>(text, tensor, index);
    case DType::kI32: return StoreInt<int32_t>(text, tensor, index);
    case DType::kU8: return StoreInt<uint8_t>(text, tensor, index);
    case DType::kI8: return StoreInt<int8_t>(text, tensor, index);
    case DType::kI16: return StoreInt<int16_t>(text, tensor, index);
    case DType::kU16: return StoreInt<uint16_t>(text, tensor, index);
    case DType::kU32: return StoreInt<uint32_t>(text, tensor, index);
    case DType::kU64: return StoreInt<uint64_t>(text, tensor, index);
    case DType::kBool: {
      if (text != "0" && text != "1") return false;
      tensor.data<uint8_t>()[index] = text == "1" ? 1 : 0;
      return true;
    }
  }
  return false;
}

}  // namespace wsi
