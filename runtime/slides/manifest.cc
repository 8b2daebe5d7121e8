#include "runtime/slides/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include "runtime/base/content_hash.h"
#include "runtime/base/file.h"
#include "runtime/slides/csv.h"
#include "runtime/slides/manifest_checks.h"

namespace wsi {
namespace {

constexpr Bytes kMaxManifestBytes = Bytes{1} << 30;

enum Column : size_t { kId, kCase, kPath, kLabel, kMpp, kHash, kSplit, kX, kY, kW, kH, kColumns };
constexpr std::array<std::string_view, kColumns> kNames = {
    "slide_id", "case_id", "path", "label", "mpp", "hash", "split", "x", "y", "w", "h"};

// Where each known column stands in a record, or -1.
using Places = std::array<int, kColumns>;

Result<Places> ReadHeading(const CsvRecord& heading, const ManifestOptions& options) {
  Places places;
  places.fill(-1);
  for (size_t i = 0; i < heading.fields.size(); ++i) {
    const auto* known = std::find(kNames.begin(), kNames.end(), heading.fields[i]);
    if (known == kNames.end()) continue;
    int& place = places[static_cast<size_t>(known - kNames.begin())];
    if (place >= 0) {
      return InvalidInput(fmt::format("line {}, column {}: a second column {}", heading.line, i + 1,
                                      heading.fields[i]));
    }
    place = static_cast<int>(i);
  }
  std::vector<Column> required = {kId, kPath};
  if (options.labels_required) required.push_back(kLabel);
  for (const Column column : required) {
    if (places[column] < 0) {
      return InvalidInput(fmt::format("line {}: no column {} among: {}", heading.line,
                                      kNames[column], fmt::join(heading.fields, ", ")));
    }
  }
  const auto given = std::count_if(places.begin() + kX, places.end(), [](int p) { return p >= 0; });
  if (given != 0 && given != 4) {
    return InvalidInput(
        fmt::format("line {}: columns x, y, w and h belong together", heading.line));
  }
  return places;
}

// The fields of one record by column.
class Record {
 public:
  Record(const CsvRecord& record, const Places& places) : record_(record), places_(places) {}

  std::string Text(Column column) const {
    return places_[column] < 0 ? std::string()
                               : record_.fields[static_cast<size_t>(places_[column])];
  }
  Status Bad(Column column, std::string_view what) const {
    return InvalidInput(fmt::format("line {}, column {} ({}): {}", record_.line,
                                    places_[column] + 1, kNames[column], what));
  }
  Result<int64_t> Int(Column column) const {
    const std::string text = Text(column);
    int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size()) {
      return Bad(column, fmt::format("'{}' is not an integer", text));
    }
    return value;
  }
  Result<double> Positive(Column column) const {
    const std::string text = Text(column);
    double value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size() || !std::isfinite(value) ||
        value <= 0) {
      return Bad(column, fmt::format("'{}' is not a number above 0", text));
    }
    return value;
  }

 private:
  const CsvRecord& record_;
  const Places& places_;
};

Status ReadRegion(const Record& record, SlideRow& row) {
  const std::array<Column, 4> columns = {kX, kY, kW, kH};
  const auto empty = std::count_if(columns.begin(), columns.end(),
                                   [&](Column column) { return record.Text(column).empty(); });
  if (empty == 4) return {};
  std::array<int64_t, 4> values{};
  for (size_t i = 0; i < 4; ++i) {
    WSI_ASSIGN_OR_RETURN(values[i], record.Int(columns[i]));
    const int64_t least = i < 2 ? 0 : 1;
    if (values[i] < least) {
      return record.Bad(columns[i], fmt::format("{} is below {}", values[i], least));
    }
  }
  row.region = SlideRegion{values[0], values[1], values[2], values[3]};
  return {};
}

Status ReadPath(const Record& record, const std::filesystem::path& folder, bool must_exist,
                SlideRow& row) {
  const std::string text = record.Text(kPath);
  if (text.empty()) return record.Bad(kPath, "is empty");
  // A relative path keeps its form beneath the folder; operator/ lets an absolute one win.
  row.path = (folder / text).lexically_normal().string();
  std::error_code error;
  if (must_exist && !std::filesystem::is_regular_file(row.path, error)) {
    return record.Bad(kPath, fmt::format("no such file: {}", row.path));
  }
  return {};
}

Result<SlideRow> ReadRow(const Record& record, const std::filesystem::path& folder,
                         const ManifestOptions& options) {
  SlideRow row;
  row.slide_id = record.Text(kId);
  if (row.slide_id.empty()) return record.Bad(kId, "is empty");
  row.case_id = record.Text(kCase);
  WSI_RETURN_IF_ERROR(ReadPath(record, folder, options.files_must_exist, row));
  row.label = record.Text(kLabel);
  if (row.label.empty() && options.labels_required) return record.Bad(kLabel, "is empty");
  if (!record.Text(kMpp).empty()) {
    WSI_ASSIGN_OR_RETURN(row.mpp, record.Positive(kMpp));
  }
  row.hash = record.Text(kHash);
  if (!row.hash.empty() && !IsContentHash(row.hash)) {
    return record.Bad(kHash, fmt::format("'{}' is not 32 lower-case hexadecimal digits", row.hash));
  }
  row.split = record.Text(kSplit);
  if (!row.split.empty() && row.split != "train" && row.split != "val" && row.split != "test") {
    return record.Bad(kSplit, fmt::format("'{}' is none of train, val, test", row.split));
  }
  WSI_RETURN_IF_ERROR(ReadRegion(record, row));
  return row;
}

// The index that a label means in `names`, or -1.
int64_t ClassOf(const std::string& label, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), label);
  if (found != names.end()) return found - names.begin();
  const std::optional<int64_t> index = ClassNumber(label);
  return index && *index < static_cast<int64_t>(names.size()) ? *index : -1;
}

Status AssignClasses(const std::vector<CsvRecord>& records, const Places& places,
                     const ManifestOptions& options, Manifest& manifest) {
  manifest.class_names = options.class_names;
  if (manifest.class_names.empty()) {
    manifest.class_names = NameClasses(manifest.rows);
  }
  for (size_t i = 0; i < manifest.rows.size(); ++i) {
    SlideRow& row = manifest.rows[i];
    if (row.label.empty()) continue;
    row.class_index = ClassOf(row.label, manifest.class_names);
    if (row.class_index < 0) {
      return Record(records[i + 1], places)
          .Bad(kLabel, fmt::format("unknown label '{}'; the classes are: {}", row.label,
                                   fmt::join(manifest.class_names, ", ")));
    }
  }
  return {};
}

}  // namespace

Result<Manifest> ParseManifest(std::string_view text, const std::string& path,
                               const ManifestOptions& options) {
  const auto parse = [&]() -> Result<Manifest> {
    WSI_ASSIGN_OR_RETURN(const std::vector<CsvRecord> records, ParseCsv(text));
    if (records.empty()) return InvalidInput("is empty; a heading and rows are needed");
    WSI_ASSIGN_OR_RETURN(const Places places, ReadHeading(records[0], options));
    if (records.size() == 1) return InvalidInput("has a heading but no rows");
    Manifest manifest;
    manifest.path = path;
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    for (size_t i = 1; i < records.size(); ++i) {
      const size_t count = records[i].fields.size();
      if (count != records[0].fields.size()) {
        return InvalidInput(fmt::format("line {}: has {} fields; the heading has {}",
                                        records[i].line, count, records[0].fields.size()));
      }
      WSI_ASSIGN_OR_RETURN(SlideRow row, ReadRow(Record(records[i], places), folder, options));
      row.line = records[i].line;
      manifest.rows.push_back(std::move(row));
    }
    WSI_RETURN_IF_ERROR(CheckRows(manifest.rows));
    WSI_RETURN_IF_ERROR(AssignClasses(records, places, options, manifest));
    return manifest;
  };
  Result<Manifest> manifest = parse();
  if (!manifest.ok()) return manifest.status().WithContext(path);
  return manifest;
}

Result<Manifest> ReadManifest(const std::string& path, const ManifestOptions& options) {
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxManifestBytes));
  return ParseManifest(text, path, options);
}

Result<std::vector<int64_t>> RowsOfSplit(const Manifest& manifest, std::string_view split) {
  std::vector<int64_t> rows;
  std::set<std::string> present;
  for (size_t i = 0; i < manifest.rows.size(); ++i) {
    const std::string& of_row = manifest.rows[i].split;
    if (of_row.empty() || of_row == split) rows.push_back(static_cast<int64_t>(i));
    if (!of_row.empty()) present.insert(of_row);
  }
  if (rows.empty()) {
    return InvalidInput(fmt::format("{}: split '{}' has no rows; there are rows in: {}",
                                    manifest.path, split, fmt::join(present, ", ")));
  }
  return rows;
}

ViewSpec ViewOfRow(const SlideRow& row, ViewSpec view) {
  if (row.region) view.region = row.region;
  if (row.mpp) view.slide_mpp = row.mpp;
  return view;
}

Status WriteManifest(const std::string& path, const std::vector<SlideRow>& rows, bool force) {
  const std::filesystem::path folder =
      std::filesystem::absolute(path).lexically_normal().parent_path();
  const auto shown_path = [&folder](const std::string& slide) {
    const std::filesystem::path absolute = std::filesystem::absolute(slide).lexically_normal();
    const std::filesystem::path relative = absolute.lexically_relative(folder);
    const bool beneath = !relative.empty() && *relative.begin() != "..";
    return (beneath ? relative : absolute).string();
  };
  const auto fields = [&](const SlideRow& row) {
    std::array<std::string, kColumns> out = {
        row.slide_id, row.case_id, shown_path(row.path), row.label, "", row.hash, row.split};
    if (row.mpp) out[kMpp] = fmt::format("{}", *row.mpp);
    if (!row.region) return out;
    const SlideRegion& r = *row.region;
    const std::array<int64_t, 4> numbers = {r.x, r.y, r.w, r.h};
    for (size_t i = 0; i < 4; ++i) out[kX + i] = fmt::format("{}", numbers[i]);
    return out;
  };
  std::array<bool, kColumns> used{};
  used[kId] = used[kPath] = true;
  for (const SlideRow& row : rows) {
    const auto values = fields(row);
    for (size_t c = 0; c < kColumns; ++c) used[c] = used[c] || !values[c].empty();
  }
  std::string text;
  const auto add_line = [&](auto&& value_of) {
    std::vector<std::string> shown;
    for (size_t c = 0; c < kColumns; ++c) {
      if (used[c]) shown.push_back(QuoteCsv(value_of(c)));
    }
    text += fmt::format("{}\n", fmt::join(shown, ","));
  };
  add_line([](size_t c) { return kNames[c]; });
  for (const SlideRow& row : rows) {
    const auto values = fields(row);
    add_line([&](size_t c) { return std::string_view(values[c]); });
  }
  return WriteFile(path, text, {.force = force});
}

}  // namespace wsi
