#include "runtime/base/content_hash.h"

#include <algorithm>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"

namespace wsi {

Result<std::string> HashFile(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  Hasher hasher;
  std::vector<std::byte> buffer(size_t{1} << 20U);
  for (Bytes offset = 0; offset < file.size();) {
    const Bytes count = std::min<Bytes>(file.size() - offset, static_cast<Bytes>(buffer.size()));
    const std::span<std::byte> part(buffer.data(), static_cast<size_t>(count));
    WSI_RETURN_IF_ERROR(file.ReadAt(offset, part));
    hasher.Add(part);
    offset += count;
  }
  return hasher.Finish().ToHex();
}

bool IsContentHash(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace wsi
