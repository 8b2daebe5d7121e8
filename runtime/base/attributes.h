// The attributes of an operator: a small sorted map from name to value, the same
// in a graph, in a plan and in front of a backend.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

using AttributeValue =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

class Attributes {
 public:
  using Entry = std::pair<std::string, AttributeValue>;

  Attributes() = default;
  Attributes(std::initializer_list<Entry> entries);

  void Set(std::string_view name, AttributeValue value);
  void Erase(std::string_view name);
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  const AttributeValue* Find(std::string_view name) const;

  // The attribute, or `otherwise` if there is none.
  // REQUIRES: one that exists has the asked type (OpDef::infer has checked it).
  int64_t Int(std::string_view name, int64_t otherwise) const;
  double Float(std::string_view name, double otherwise) const;  // An int64_t converts.
  std::string String(std::string_view name, std::string_view otherwise) const;
  std::vector<int64_t> Ints(std::string_view name, std::vector<int64_t> otherwise = {}) const;
  std::vector<double> Floats(std::string_view name, std::vector<double> otherwise = {}) const;

  // Entries sorted by name.
  const std::vector<Entry>& entries() const { return entries_; }
  bool operator==(const Attributes&) const = default;

 private:
  std::vector<Entry> entries_;
};

}  // namespace wsi
