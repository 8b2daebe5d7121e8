// The JSON header of a safetensors file. Private to safetensors.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/safetensors.h"

namespace wsi {

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // By offset; they tile [0, data_bytes).
  SafetensorsMetadata metadata;
  Bytes data_bytes = 0;
};

// Refuses whatever the format does not define: nesting, duplicate or unknown keys,
// unknown types, overlaps, holes, sizes that disagree with shapes.
Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json);
// `entries` have their offsets. Padded with spaces so that the data start at a
// multiple of 8 bytes.
Result<std::string> FormatSafetensorsHeader(const std::vector<SafetensorsEntry>& entries,
                                            const SafetensorsMetadata& metadata);

}  // namespace wsi
