// Which wsirun this is.
#pragma once

#include <string_view>

namespace wsi {

// "0.1.0". Ranks of another one are refused. Defined beside main's program, not in a library, so
// that a test can build a wsirun of another version.
std::string_view Version();

}  // namespace wsi
