#include "runtime/base/attributes.h"

#include <algorithm>

namespace wsi {
namespace {

template <typename T>
const T* Get(const Attributes& attributes, std::string_view name) {
  const AttributeValue* value = attributes.Find(name);
  if (value == nullptr) return nullptr;
  const T* typed = std::get_if<T>(value);
  WSI_CHECK(typed != nullptr);
  return typed;
}

}  // namespace

Attributes::Attributes(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) Set(entry.first, entry.second);
}

void Attributes::Set(std::string_view name, AttributeValue value) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const Entry& e, std::string_view n) { return e.first < n; });
  if (at != entries_.end() && at->first == name) {
    at->second = std::move(value);
  } else {
    entries_.emplace(at, std::string(name), std::move(value));
  }
}

void Attributes::Erase(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.first == name; });
}

const AttributeValue* Attributes::Find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

int64_t Attributes::Int(std::string_view name, int64_t otherwise) const {
  const auto* value = Get<int64_t>(*this, name);
  return value != nullptr ? *value : otherwise;
}

double Attributes::Float(std::string_view name, double otherwise) const {
  const AttributeValue* value = Find(name);
  if (value == nullptr) return otherwise;
  if (const auto* integer = std::get_if<int64_t>(value)) return static_cast<double>(*integer);
  WSI_CHECK(std::holds_alternative<double>(*value));
  return std::get<double>(*value);
}

std::string Attributes::String(std::string_view name, std::string_view otherwise) const {
  const auto* value = Get<std::string>(*this, name);
  return value != nullptr ? *value : std::string(otherwise);
}

std::vector<int64_t> Attributes::Ints(std::string_view name, std::vector<int64_t> otherwise) const {
  const auto* value = Get<std::vector<int64_t>>(*this, name);
  if (value != nullptr) return *value;
  return otherwise;
}

std::vector<double> Attributes::Floats(std::string_view name, std::vector<double> otherwise) const {
  const auto* value = Get<std::vector<double>>(*this, name);
  if (value != nullptr) return *value;
  return otherwise;
}

}  // namespace wsi
