#include "passes/pass_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <variant>

namespace wsi {

const AttributeValue* PassOptions::Find(std::string_view name) {
  asked_.emplace_back(name);
  return options_.Find(name);
}

void PassOptions::Reject(std::string_view name, std::string_view wanted) {
  if (status_.ok()) status_ = UsageError(fmt::format("option '{}' wants {}", name, wanted));
}

bool PassOptions::Bool(std::string_view name, bool otherwise) {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return otherwise;
  const auto* number = std::get_if<int64_t>(value);
  if (number == nullptr || (*number != 0 && *number != 1)) {
    Reject(name, "0 or 1");
    return otherwise;
  }
  return *number == 1;
}

int64_t PassOptions::Int(std::string_view name, int64_t otherwise) {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return otherwise;
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  Reject(name, "an integer");
  return otherwise;
}

Bytes PassOptions::Size(std::string_view name, Bytes otherwise) {
  const Bytes bytes = Int(name, otherwise);
  if (bytes >= 0) return bytes;
  Reject(name, "a number of bytes");
  return otherwise;
}

double PassOptions::Float(std::string_view name, double otherwise) {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return otherwise;
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  Reject(name, "a number");
  return otherwise;
}

std::string PassOptions::String(std::string_view name, std::string_view otherwise) {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return std::string(otherwise);
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  Reject(name, "a text");
  return std::string(otherwise);
}

int PassOptions::Word(std::string_view name, const std::vector<std::string_view>& allowed) {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return -1;
  if (const auto* word = std::get_if<std::string>(value)) {
    const auto at = std::find(allowed.begin(), allowed.end(), *word);
    if (at != allowed.end()) return static_cast<int>(at - allowed.begin());
  }
  Reject(name, fmt::format("one of \"{}\"", fmt::join(allowed, "\", \"")));
  return -1;
}

Status PassOptions::Finish() {
  WSI_RETURN_IF_ERROR(status_);
  for (const auto& [name, value] : options_.entries()) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    if (asked_.empty()) return UsageError(fmt::format("unknown option '{}'; there are none", name));
    return UsageError(
        fmt::format("unknown option '{}'; there are: {}", name, fmt::join(asked_, ", ")));
  }
  return {};
}

}  // namespace wsi
