// How the commands of wsic end.
#pragma once

#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

// Prints an error as one message to stderr, "wsic COMMAND: ...", and returns its exit code.
int Report(std::string_view command, const Status& status);

}  // namespace wsi
