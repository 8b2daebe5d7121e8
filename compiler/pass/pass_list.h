// Reads "norm{mode="frozen"},fuse" as passes ready to run.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "compiler/pass/pass.h"
#include "runtime/base/status.h"

namespace wsi {

// Passes by name, comma-separated, each with options in braces as the text form writes
// attributes. kUsage, naming the pass and those there are, where one is unknown.
Result<std::vector<Pass>> ParsePassList(std::string_view list, std::span<const PassEntry> entries);

}  // namespace wsi
