#include "compiler/pass/pass_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "compiler/ir/text.h"

namespace wsi {
namespace {

// The end of the pass that begins at `begin`: the next comma outside braces.
size_t EndOfItem(std::string_view list, size_t begin) {
  bool in_braces = false;
  bool in_quotes = false;
  for (size_t i = begin; i < list.size(); ++i) {
    const char c = list[i];
    if (in_quotes && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_quotes = !in_quotes;
    } else if (!in_quotes && (c == '{' || c == '}')) {
      in_braces = c == '{';
    } else if (!in_quotes && !in_braces && c == ',') {
      return i;
    }
  }
  return list.size();
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string KnownNames(std::span<const PassEntry> entries) {
  std::string names;
  for (const PassEntry& entry : entries) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

Result<Pass> MakePass(std::string_view item, std::span<const PassEntry> entries) {
  const size_t brace = std::min(item.find('{'), item.size());
  const std::string_view name = Trim(item.substr(0, brace));
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const PassEntry& e) { return e.name == name; });
  if (entry == entries.end()) {
    return UsageError(fmt::format("no pass '{}'; there are: {}", name, KnownNames(entries)));
  }
  Attributes options;
  if (brace < item.size()) {
    Result<Attributes> parsed = ParseAttributes(item.substr(brace));
    if (!parsed.ok()) {
      return UsageError(fmt::format("options of pass '{}': {}", name, parsed.status().message()));
    }
    options = std::move(parsed).value();
  }
  Result<PassFunction> run = entry->make(options);
  if (!run.ok()) return run.status().WithContext(fmt::format("pass '{}'", name));
  return Pass{std::string(name), std::move(run).value()};
}

}  // namespace

Result<std::vector<Pass>> ParsePassList(std::string_view list, std::span<const PassEntry> entries) {
  std::vector<Pass> passes;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = EndOfItem(list, begin);
    WSI_ASSIGN_OR_RETURN(Pass pass, MakePass(Trim(list.substr(begin, end - begin)), entries));
    passes.push_back(std::move(pass));
    begin = end + 1;
  }
  return passes;
}

}  // namespace wsi
