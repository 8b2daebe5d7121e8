#include "frontends/onnx/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace wsi {
namespace {

constexpr size_t kLongestName = 1024;
constexpr size_t kLongestPrinted = 160;

// The length of the UTF-8 character at the front of `text`, 0 if there is none or if
// it is a control character (C0, DEL, C1). Overlong forms and surrogates are none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  uint32_t code = first & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0xA0, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return code < kSmallest[length] || code > 0x10FFFF || surrogate ? 0 : length;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printed;
  for (size_t i = 0; i < text.size();) {
    if (printed.size() > kLongestPrinted) return printed + "...";
    const size_t length = CharacterLength(text.substr(i));
    if (length == 0) {
      printed += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[i]));
    } else {
      printed += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return printed;
}

bool IsAcceptableName(std::string_view name) {
  if (name.size() > kLongestName) return false;
  for (size_t i = 0; i < name.size();) {
    const size_t length = CharacterLength(name.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace wsi
