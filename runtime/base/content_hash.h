// The hash by which manifests and checkpoints recognise a file's bytes.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace wsi {

// XXH3-128 of the file's content as 32 lowercase hexadecimal digits. Finds accidents, not
// forgery. A slide made of several files (MIRAX) is known by the file that is opened.
Result<std::string> HashFile(const std::string& path);

// Whether `text` has the form that HashFile returns.
bool IsContentHash(std::string_view text);

}  // namespace wsi
