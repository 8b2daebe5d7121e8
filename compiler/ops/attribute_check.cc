#include "compiler/ops/attribute_check.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace wsi {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<AttributeValue>> kKinds = {
    "an integer", "a float", "a string", "a list of integers", "a list of floats"};

Status Missing(std::string_view name) {
  return InvalidInput(fmt::format("lacks attribute {}", name));
}

// The attribute if it has type T, null if there is none.
template <typename T>
Result<const T*> Typed(const Attributes& attributes, std::string_view name, size_t wanted) {
  const AttributeValue* value = attributes.Find(name);
  if (value == nullptr) return nullptr;
  const T* typed = std::get_if<T>(value);
  if (typed == nullptr) {
    return InvalidInput(
        fmt::format("attribute {} is {}, wants {}", name, kKinds[value->index()], kKinds[wanted]));
  }
  return typed;
}

Status CheckRange(std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return InvalidInput(fmt::format("attribute {} is {}, wants {} to {}", name, value, low, high));
}

}  // namespace

Result<int64_t> CheckedInt(const Attributes& attributes, std::string_view name, int64_t low,
                           int64_t high, std::optional<int64_t> otherwise) {
  WSI_ASSIGN_OR_RETURN(const int64_t* value, Typed<int64_t>(attributes, name, 0));
  if (value == nullptr) {
    if (!otherwise) return Missing(name);
    return *otherwise;
  }
  WSI_RETURN_IF_ERROR(CheckRange(name, *value, low, high));
  return *value;
}

Result<bool> CheckedFlag(const Attributes& attributes, std::string_view name, bool otherwise) {
  WSI_ASSIGN_OR_RETURN(const int64_t value, CheckedInt(attributes, name, 0, 1, otherwise ? 1 : 0));
  return value == 1;
}

Result<double> CheckedFloat(const Attributes& attributes, std::string_view name,
                            std::optional<double> otherwise, double low, double high) {
  const AttributeValue* found = attributes.Find(name);
  if (found == nullptr && otherwise) return *otherwise;
  double value = 0;
  if (found != nullptr && std::holds_alternative<int64_t>(*found)) {
    value = static_cast<double>(std::get<int64_t>(*found));
  } else {
    WSI_ASSIGN_OR_RETURN(const double* typed, Typed<double>(attributes, name, 1));
    if (typed == nullptr) return Missing(name);
    value = *typed;
  }
  if (std::isnan(value) || value < low || value > high) {
    return InvalidInput(
        fmt::format("attribute {} is {}, wants a number from {} to {}", name, value, low, high));
  }
  return value;
}

Result<std::string> CheckedString(const Attributes& attributes, std::string_view name,
                                  std::optional<std::string> otherwise) {
  WSI_ASSIGN_OR_RETURN(const std::string* value, Typed<std::string>(attributes, name, 2));
  if (value == nullptr) {
    if (!otherwise) return Missing(name);
    return *otherwise;
  }
  return *value;
}

Result<std::vector<int64_t>> CheckedInts(const Attributes& attributes, std::string_view name,
                                         int64_t low, int64_t high, int count) {
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t>* values,
                       Typed<std::vector<int64_t>>(attributes, name, 3));
  if (values == nullptr) return Missing(name);
  if (count >= 0 && values->size() != static_cast<size_t>(count)) {
    return InvalidInput(
        fmt::format("attribute {} has {} numbers, wants {}", name, values->size(), count));
  }
  for (const int64_t value : *values) {
    WSI_RETURN_IF_ERROR(CheckRange(name, value, low, high));
  }
  return *values;
}

Result<int> CheckedAxis(const Attributes& attributes, std::string_view name, int rank) {
  if (rank == 0) return InvalidInput(fmt::format("attribute {} names an axis of a scalar", name));
  WSI_ASSIGN_OR_RETURN(const int64_t axis, CheckedInt(attributes, name, 0, rank - 1));
  return static_cast<int>(axis);
}

Result<std::vector<int64_t>> CheckedAxes(const Attributes& attributes, std::string_view name,
                                         int rank) {
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> axes, CheckedInts(attributes, name, 0, rank - 1));
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (const int64_t axis : axes) {
    if (seen[static_cast<size_t>(axis)]) {
      return InvalidInput(fmt::format("attribute {} names axis {} twice", name, axis));
    }
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

Result<Shape> CheckedShape(const Attributes& attributes, std::string_view name) {
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t>* sizes,
                       Typed<std::vector<int64_t>>(attributes, name, 3));
  if (sizes == nullptr) return Missing(name);
  Result<Shape> shape = Shape::Make(*sizes);
  if (!shape.ok()) return shape.status().WithContext(fmt::format("attribute {}", name));
  return shape;
}

Result<DType> CheckedDType(const Attributes& attributes, std::string_view name) {
  WSI_ASSIGN_OR_RETURN(const std::string text, CheckedString(attributes, name));
  Result<DType> dtype = ParseDType(text);
  if (!dtype.ok()) return dtype.status().WithContext(fmt::format("attribute {}", name));
  return dtype;
}

}  // namespace wsi
