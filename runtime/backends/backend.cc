#include "runtime/backends/backend.h"

#include <algorithm>
#include <vector>

#include "runtime/base/pixels.h"

namespace wsi {

Status Backend::WritePixels(std::byte* device, DType dtype, std::span<const uint8_t> rgb) {
  constexpr size_t kPart = size_t{1} << 20;
  const auto value_bytes = static_cast<size_t>(DTypeBytes(dtype));
  std::vector<std::byte> values(std::min(rgb.size(), kPart) * value_bytes);
  for (size_t done = 0; done < rgb.size(); done += kPart) {
    const std::span<const uint8_t> part = rgb.subspan(done, std::min(kPart, rgb.size() - done));
    const std::span<std::byte> to = std::span(values).first(part.size() * value_bytes);
    NormalizePixels(part, dtype, to);
    WSI_RETURN_IF_ERROR(Write(device + done * value_bytes, to));
  }
  return {};
}

}  // namespace wsi
