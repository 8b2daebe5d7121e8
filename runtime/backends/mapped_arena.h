// An arena of anonymous memory in huge pages where the system gives them.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/backends/backend.h"

namespace wsi {

// `what` ("device", "host") is for messages. Refuses more than the machine's or the
// process's memory limits leave free beside the `*reserved` bytes of other arenas, which
// may be untouched yet, before anything is mapped. The arena's size counts in
// `*reserved`, which outlives it, while it exists.
Result<std::unique_ptr<Arena>> MapArena(std::string_view what, Bytes bytes, Bytes* reserved);

// Bytes that this process may still take: free and reclaimable memory, within its
// control group.
Bytes AvailableMemory();

}  // namespace wsi
