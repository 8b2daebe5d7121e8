#include "runtime/backends/launch_check.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>

namespace wsi {
namespace {

// '?' and lower-case letters mark operands that may be absent.
bool Optional(char letter) { return letter == '?' || (letter >= 'a' && letter <= 'z'); }

char Bare(char letter) {
  return letter == '?' ? '*' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
}

}  // namespace

void LaunchCheck::Fail(std::string_view what) {
  if (!status_.ok()) return;
  status_ = InvalidInput(
      fmt::format("{} '{}' on {}: {}", launch_.op, launch_.node, letters_.backend, what));
}

Status LaunchCheck::Operands(std::string_view inputs, std::string_view outputs) {
  std::string repeated(inputs);
  if (repeated.ends_with('+')) {
    repeated.pop_back();
    if (launch_.inputs.size() > repeated.size()) {
      repeated.append(launch_.inputs.size() - repeated.size(), repeated.back());
    }
  }
  WSI_RETURN_IF_ERROR(CheckTypes(repeated, launch_.inputs, "input"));
  return CheckTypes(outputs, launch_.outputs, "output");
}

Status LaunchCheck::CheckTypes(std::string_view letters, std::span<const OperandSpec> operands,
                               std::string_view side) {
  if (operands.size() > letters.size()) {
    Fail(fmt::format("{} {}s, takes at most {}", operands.size(), side, letters.size()));
  }
  for (size_t i = 0; i < letters.size(); ++i) {
    if (i >= operands.size() || !operands[i].present) {
      if (!Optional(letters[i])) Fail(fmt::format("{} {} is missing", side, i));
    } else if (!letters_.matches(Bare(letters[i]), operands[i].dtype)) {
      Fail(fmt::format("{} {} is {}, wants {}", side, i, DTypeName(operands[i].dtype),
                       letters_.wanted(Bare(letters[i]))));
    }
  }
  return status_;
}

bool LaunchCheck::HasInput(size_t i) const {
  return i < launch_.inputs.size() && launch_.inputs[i].present;
}
bool LaunchCheck::HasOutput(size_t i) const {
  return i < launch_.outputs.size() && launch_.outputs[i].present;
}

void LaunchCheck::InputIs(size_t i, const Shape& shape) {
  if (!HasInput(i) || input(i) == shape) return;
  Fail(fmt::format("input {} is {}, wants {}", i, input(i).ToString(), shape.ToString()));
}

void LaunchCheck::OutputIs(size_t i, const Shape& shape) {
  if (!HasOutput(i) || output(i) == shape) return;
  Fail(fmt::format("output {} is {}, would be {}", i, output(i).ToString(), shape.ToString()));
}

void LaunchCheck::InputIs(size_t i, DType dtype) {
  if (!HasInput(i) || input_type(i) == dtype) return;
  Fail(fmt::format("input {} is {}, wants {}", i, DTypeName(input_type(i)), DTypeName(dtype)));
}

void LaunchCheck::OutputIs(size_t i, DType dtype) {
  if (!HasOutput(i) || output_type(i) == dtype) return;
  Fail(fmt::format("output {} is {}, would be {}", i, DTypeName(output_type(i)), DTypeName(dtype)));
}

void LaunchCheck::PerChannel(size_t first, size_t last, int64_t channels) {
  for (size_t i = first; i <= last; ++i) InputIs(i, Shape{channels});
}

void LaunchCheck::ChannelsLast(const Shape& shape, int min_rank) {
  if (shape.rank() < min_rank || shape.rank() > 5) {
    Fail(fmt::format("rank {}, wants {} to 5", shape.rank(), min_rank));
  }
  Require(shape.rank() <= 2 || Flag("channels_last"), "channels are not last");
}

void LaunchCheck::Require(bool condition, std::string_view what) {
  if (!condition) Fail(what);
}

int64_t LaunchCheck::Int(std::string_view name, int64_t low, int64_t high, int64_t otherwise) {
  const AttributeValue* found = launch_.attributes.Find(name);
  if (found == nullptr) return otherwise;
  const int64_t* value = std::get_if<int64_t>(found);
  if (value != nullptr && *value >= low && *value <= high) return *value;
  Fail(fmt::format("attribute {} is not an integer from {} to {}", name, low, high));
  return low;
}

double LaunchCheck::Float(std::string_view name) {
  Require(HasAttribute(name), fmt::format("lacks attribute {}", name));
  return Float(name, 0);
}

double LaunchCheck::Float(std::string_view name, double otherwise) {
  const AttributeValue* found = launch_.attributes.Find(name);
  if (found == nullptr) return otherwise;
  if (const auto* integer = std::get_if<int64_t>(found)) return static_cast<double>(*integer);
  if (const auto* value = std::get_if<double>(found)) {
    if (!std::isnan(*value)) return *value;
  }
  Fail(fmt::format("attribute {} is not a number", name));
  return otherwise;
}

std::string_view LaunchCheck::String(std::string_view name, std::string_view otherwise) {
  const AttributeValue* found = launch_.attributes.Find(name);
  if (found == nullptr) return otherwise;
  if (const auto* value = std::get_if<std::string>(found)) return *value;
  Fail(fmt::format("attribute {} is not a string", name));
  return otherwise;
}

std::vector<int64_t> LaunchCheck::Ints(std::string_view name, size_t count, int64_t low,
                                       int64_t high) {
  const AttributeValue* found = launch_.attributes.Find(name);
  const auto* values = found == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(found);
  bool good = values != nullptr && values->size() == count;
  for (size_t i = 0; good && i < count; ++i) good = (*values)[i] >= low && (*values)[i] <= high;
  if (good) return *values;
  Fail(fmt::format("attribute {} is not {} integers from {} to {}", name, count, low, high));
  return std::vector<int64_t>(count, low);
}

std::vector<int64_t> LaunchCheck::Axes(std::string_view name, int rank) {
  const AttributeValue* found = launch_.attributes.Find(name);
  const auto* values = found == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(found);
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  bool good = values != nullptr;
  for (size_t i = 0; good && i < values->size(); ++i) {
    const int64_t axis = (*values)[i];
    good = axis >= 0 && axis < rank && !seen[static_cast<size_t>(axis)];
    if (good) seen[static_cast<size_t>(axis)] = true;
  }
  if (good) return *values;
  Fail(fmt::format("attribute {} is not a list of different axes of rank {}", name, rank));
  return {};
}

int LaunchCheck::Axis(std::string_view name, int rank) {
  Require(rank > 0 && HasAttribute(name), fmt::format("lacks attribute {} or any axis", name));
  return static_cast<int>(Int(name, 0, rank > 0 ? rank - 1 : 0, 0));
}

}  // namespace wsi
