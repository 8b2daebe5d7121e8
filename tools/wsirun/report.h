// How the commands of wsirun end.
#pragma once

#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

// Prints an error as one message to stderr, "wsirun COMMAND: ...", and returns its exit code.
int Report(std::string_view command, const Status& status);

}  // namespace wsi
