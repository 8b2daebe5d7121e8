#include "runtime/base/pointwise_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

namespace wsi {
namespace {

// The attribute as a T, null where it is absent, or an error where it is something else.
template <typename T>
Result<const T*> Typed(const Attributes& attributes, std::string_view name) {
  const AttributeValue* value = attributes.Find(name);
  if (value == nullptr) return static_cast<const T*>(nullptr);
  const T* typed = std::get_if<T>(value);
  if (typed == nullptr) return InvalidInput(fmt::format("attribute {} has the wrong type", name));
  return typed;
}

// Whole numbers from 0 to below `below`; ascending ones where `ascending`.
Result<std::vector<int64_t>> Indices(const Attributes& attributes, std::string_view name,
                                     int64_t below, bool ascending) {
  WSI_ASSIGN_OR_RETURN(const auto* values, Typed<std::vector<int64_t>>(attributes, name));
  if (values == nullptr) return std::vector<int64_t>();
  int64_t last = -1;
  for (const int64_t value : *values) {
    if (value < 0 || value >= below || (ascending && value <= last)) {
      return InvalidInput(fmt::format("attribute {} has {}, wants{} numbers from 0 to {}", name,
                                      value, ascending ? " ascending" : "", below - 1));
    }
    last = value;
  }
  return *values;
}

Result<std::vector<DType>> Types(const Attributes& attributes) {
  WSI_ASSIGN_OR_RETURN(const auto* text, Typed<std::string>(attributes, "types"));
  if (text == nullptr) return InvalidInput("attribute types is missing");
  std::vector<DType> types;
  for (size_t at = 0; at <= text->size();) {
    const size_t end = std::min(text->find(' ', at), text->size());
    WSI_ASSIGN_OR_RETURN(const DType dtype, ParseDType(text->substr(at, end - at)));
    if (!IsFloat(dtype) && dtype != DType::kBool) {
      return InvalidInput(
          fmt::format("attribute types has {}, wants floats and bool", DTypeName(dtype)));
    }
    types.push_back(dtype);
    at = end + 1;
  }
  return types;
}

Status ReadSums(const Attributes& attributes, const Shape& domain, PointwiseAttributes& kernel) {
  WSI_ASSIGN_OR_RETURN(const auto sums, Indices(attributes, "sums",
                                                static_cast<int64_t>(kernel.results.size()), true));
  for (const int64_t i : sums) {
    PointwiseResult& result = kernel.results[static_cast<size_t>(i)];
    result.is_sum = true;
    if (IsFloat(result.dtype)) continue;
    return InvalidInput(fmt::format("output {} is a sum and of type bool", i));
  }
  WSI_ASSIGN_OR_RETURN(kernel.axes, Indices(attributes, "axes", domain.rank(), true));
  WSI_ASSIGN_OR_RETURN(const auto* factor, Typed<double>(attributes, "factor"));
  kernel.factor = factor == nullptr ? 1.0 : *factor;
  if (!std::isfinite(kernel.factor)) return InvalidInput("attribute factor is not finite");
  return {};
}

}  // namespace

bool PointwiseAttributes::HasSums() const {
  return std::any_of(results.begin(), results.end(), [](const auto& r) { return r.is_sum; });
}

Shape PointwiseAttributes::SumShape(const Shape& domain) const {
  std::vector<int64_t> sizes(domain.begin(), domain.end());
  for (const int64_t axis : axes) sizes[static_cast<size_t>(axis)] = 1;
  Result<Shape> shape = Shape::Make(sizes);
  WSI_CHECK(shape.ok());  // It has no more elements than `domain`.
  return std::move(shape).value();
}

Result<PointwiseAttributes> ReadPointwiseAttributes(const Attributes& attributes, int inputs,
                                                    const Shape& domain) {
  PointwiseAttributes kernel;
  WSI_ASSIGN_OR_RETURN(const auto* text, Typed<std::string>(attributes, "program"));
  if (text == nullptr) return InvalidInput("attribute program is missing");
  WSI_ASSIGN_OR_RETURN(kernel.program, ParsePointwiseProgram(*text, inputs));
  WSI_ASSIGN_OR_RETURN(
      const auto steps,
      Indices(attributes, "results", static_cast<int64_t>(kernel.program.steps.size()), false));
  WSI_ASSIGN_OR_RETURN(const std::vector<DType> types, Types(attributes));
  if (steps.empty() || steps.size() != types.size()) {
    return InvalidInput(fmt::format("attributes results and types have {} and {} entries",
                                    steps.size(), types.size()));
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    kernel.results.push_back({.step = static_cast<int>(steps[i]), .dtype = types[i]});
  }
  WSI_RETURN_IF_ERROR(ReadSums(attributes, domain, kernel));
  return kernel;
}

Attributes WritePointwiseAttributes(const PointwiseAttributes& kernel) {
  std::vector<int64_t> steps;
  std::vector<int64_t> sums;
  std::string types;
  for (size_t i = 0; i < kernel.results.size(); ++i) {
    const PointwiseResult& result = kernel.results[i];
    steps.push_back(result.step);
    if (result.is_sum) sums.push_back(static_cast<int64_t>(i));
    types += (i == 0 ? "" : " ") + std::string(DTypeName(result.dtype));
  }
  Attributes attributes = {{"program", PrintPointwiseProgram(kernel.program)},
                           {"results", std::move(steps)},
                           {"types", std::move(types)}};
  if (sums.empty()) return attributes;
  attributes.Set("sums", std::move(sums));
  attributes.Set("axes", kernel.axes);
  attributes.Set("factor", kernel.factor);
  return attributes;
}

}  // namespace wsi
