// Names from a file in a form that is safe to print.
#pragma once

#include <string>
#include <string_view>

namespace wsi {

// `text` with control characters and bytes beyond ASCII that are no UTF-8 as \xNN,
// cut after 160 bytes.
std::string Printable(std::string_view text);

// Whether `name` can be the name of a value: UTF-8 without control characters, at most
// 1024 bytes.
bool IsAcceptableName(std::string_view name);

}  // namespace wsi
