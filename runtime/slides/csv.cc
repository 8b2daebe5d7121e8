#include "runtime/slides/csv.h"

#include <fmt/format.h>

#include <utility>

namespace wsi {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  Result<std::vector<CsvRecord>> Run() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record{.line = line_, .fields = {}};
      bool more = true;
      while (more) {
        std::string field;
        column_ = static_cast<int64_t>(record.fields.size()) + 1;
        WSI_RETURN_IF_ERROR(ReadField(field));
        record.fields.push_back(std::move(field));
        more = at_ < text_.size() && text_[at_] == ',';
        if (more) ++at_;
      }
      EndLine();
      const bool blank = record.fields.size() == 1 && record.fields[0].empty();
      if (!blank) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  Status ReadField(std::string& field) {
    if (at_ < text_.size() && text_[at_] == '"') return ReadQuoted(field);
    while (at_ < text_.size() && text_[at_] != ',' && !AtLineEnd()) {
      if (text_[at_] == '"') return Bad("a quote inside a field that does not start with one");
      if (text_[at_] == '\0') return Bad("a NUL byte");
      field += text_[at_++];
    }
    return {};
  }

  Status ReadQuoted(std::string& field) {
    const int64_t start = line_;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\0') return Bad("a NUL byte");
      if (c == '\n') ++line_;
      if (c != '"') {
        field += c;
        continue;
      }
      if (at_ < text_.size() && text_[at_] == '"') {
        field += '"';
        ++at_;
        continue;
      }
      if (at_ < text_.size() && text_[at_] != ',' && !AtLineEnd()) {
        return Bad("text after a closing quote");
      }
      return {};
    }
    line_ = start;
    return Bad("a quote that is not closed");
  }

  bool AtLineEnd() const {
    return text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_, 2) == "\r\n");
  }
  void EndLine() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++line_;
  }
  Status Bad(std::string_view what) const {
    return InvalidInput(fmt::format("line {}, column {}: {}", line_, column_, what));
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
  int64_t column_ = 1;
};

}  // namespace

Result<std::vector<CsvRecord>> ParseCsv(std::string_view text) { return Parser(text).Run(); }

std::string QuoteCsv(std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(field);
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace wsi
