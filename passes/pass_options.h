// Reads the options of a pass that was asked for by name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// Each reader names one option and returns it, or its default. Finish then reports the
// first option of a wrong type or value, or one that nobody asked for (kUsage).
class PassOptions {
 public:
  explicit PassOptions(const Attributes& options) : options_(options) {}

  bool Bool(std::string_view name, bool otherwise);  // 0 or 1
  int64_t Int(std::string_view name, int64_t otherwise);
  Bytes Size(std::string_view name, Bytes otherwise);     // An integer from 0.
  double Float(std::string_view name, double otherwise);  // An integer converts.
  std::string String(std::string_view name, std::string_view otherwise);
  // The enumerator whose word was given.
  template <typename Enum>
  Enum Choice(std::string_view name, std::initializer_list<std::pair<std::string_view, Enum>> words,
              Enum otherwise) {
    std::vector<std::string_view> allowed;
    for (const auto& word : words) allowed.push_back(word.first);
    const int found = Word(name, allowed);
    return found < 0 ? otherwise : (words.begin() + found)->second;
  }

  Status Finish();

 private:
  const AttributeValue* Find(std::string_view name);
  int Word(std::string_view name, const std::vector<std::string_view>& allowed);
  void Reject(std::string_view name, std::string_view wanted);

  const Attributes& options_;
  std::vector<std::string> asked_;
  Status status_;
};

}  // namespace wsi
