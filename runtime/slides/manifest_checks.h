// What must hold between the rows of a manifest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/slides/manifest.h"

namespace wsi {

// kInvalidInput, naming both lines, if two rows share a slide_id (unless they are regions of one
// file) or path and region, or if a case or a file is in two splits; also if only some rows have
// a split.
Status CheckRows(const std::vector<SlideRow>& rows);

// The class index that `label` spells, if it is an integer from 0 to 9999.
std::optional<int64_t> ClassNumber(const std::string& label);

// Names of the classes that the labels of `rows` speak of: see ManifestOptions::class_names. One
// label that is no integer makes all of them names.
std::vector<std::string> NameClasses(const std::vector<SlideRow>& rows);

}  // namespace wsi
