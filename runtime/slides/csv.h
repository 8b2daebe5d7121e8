// Comma-separated values after RFC 4180, with a byte order mark and bare LF accepted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

struct CsvRecord {
  int64_t line = 0;  // Where it starts, counted from 1; a quoted field may hold line breaks.
  std::vector<std::string> fields;
};

// Every record that is not a blank line, the heading included. kInvalidInput, naming line and
// column, for a quote that is not closed or stands where none may, and for NUL bytes.
Result<std::vector<CsvRecord>> ParseCsv(std::string_view text);

// `field`, quoted where it must be.
std::string QuoteCsv(std::string_view field);

}  // namespace wsi
