#include "runtime/slides/manifest_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

namespace wsi {
namespace {

constexpr int64_t kMaxClassNumber = 9999;

Status CheckIds(const std::vector<SlideRow>& rows) {
  std::map<std::string, const SlideRow*> by_id;
  for (const SlideRow& row : rows) {
    const auto [place, fresh] = by_id.try_emplace(row.slide_id, &row);
    const SlideRow& other = *place->second;
    const bool regions_of_one = row.region && other.region && row.path == other.path;
    if (!fresh && !regions_of_one) {
      return InvalidInput(fmt::format("line {}, column slide_id: '{}' is also on line {}", row.line,
                                      row.slide_id, other.line));
    }
  }
  return {};
}

Status CheckPaths(const std::vector<SlideRow>& rows) {
  std::map<std::pair<std::string, SlideRegion>, const SlideRow*> by_place;
  for (const SlideRow& row : rows) {
    const auto key = std::pair(row.path, row.region.value_or(SlideRegion{}));
    const auto [place, fresh] = by_place.try_emplace(key, &row);
    if (!fresh) {
      return InvalidInput(fmt::format("line {}, column path: '{}'{} is also on line {}", row.line,
                                      row.path, row.region ? " with the same region" : "",
                                      place->second->line));
    }
  }
  return {};
}

// `key_of` gives what must not be in two splits, or "" for a row without it.
template <typename F>
Status CheckSplits(const std::vector<SlideRow>& rows, std::string_view column, F&& key_of) {
  std::map<std::string, const SlideRow*> by_key;
  for (const SlideRow& row : rows) {
    const std::string& key = key_of(row);
    if (key.empty()) continue;
    const SlideRow& other = *by_key.try_emplace(key, &row).first->second;
    if (other.split != row.split) {
      return InvalidInput(
          fmt::format("line {}, column {}: '{}' is in split {}, but in {} on line "
                      "{}",
                      row.line, column, key, row.split, other.split, other.line));
    }
  }
  return {};
}

}  // namespace

Status CheckRows(const std::vector<SlideRow>& rows) {
  WSI_RETURN_IF_ERROR(CheckIds(rows));
  WSI_RETURN_IF_ERROR(CheckPaths(rows));
  const bool any_split =
      std::any_of(rows.begin(), rows.end(), [](const SlideRow& row) { return !row.split.empty(); });
  for (const SlideRow& row : rows) {
    if (any_split && row.split.empty()) {
      return InvalidInput(
          fmt::format("line {}, column split: is empty while other rows have one", row.line));
    }
  }
  WSI_RETURN_IF_ERROR(CheckSplits(
      rows, "case_id", [](const SlideRow& row) -> const std::string& { return row.case_id; }));
  return CheckSplits(rows, "path",
                     [](const SlideRow& row) -> const std::string& { return row.path; });
}

std::optional<int64_t> ClassNumber(const std::string& label) {
  int64_t value = 0;
  const char* end = label.data() + label.size();
  const auto [rest, error] = std::from_chars(label.data(), end, value);
  if (error != std::errc() || rest != end || value < 0 || value > kMaxClassNumber) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string> NameClasses(const std::vector<SlideRow>& rows) {
  std::set<std::string> names;
  int64_t largest = -1;
  bool numbers = true;
  for (const SlideRow& row : rows) {
    if (row.label.empty()) continue;
    names.insert(row.label);
    const std::optional<int64_t> number = ClassNumber(row.label);
    numbers = numbers && number.has_value();
    largest = std::max(largest, number.value_or(-1));
  }
  if (!numbers) return {names.begin(), names.end()};
  std::vector<std::string> indices;
  for (int64_t i = 0; i <= largest; ++i) indices.push_back(fmt::format("{}", i));
  return indices;
}

}  // namespace wsi
