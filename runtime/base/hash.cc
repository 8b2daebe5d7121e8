#include "runtime/base/hash.h"

#include <xxhash.h>

#include <cstring>

#include "runtime/base/status.h"

namespace wsi {
namespace {

Hash128 Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Hash128 result;
  static_assert(sizeof(canonical.digest) == sizeof(result.bytes));
  std::memcpy(result.bytes.data(), canonical.digest, result.bytes.size());
  return result;
}

XXH3_state_t* Xxh(void* state) { return static_cast<XXH3_state_t*>(state); }

}  // namespace

std::string Hash128::ToHex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

Hash128 HashBytes(std::span<const std::byte> bytes) {
  return Canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

Hasher::Hasher() : state_(reinterpret_cast<State*>(XXH3_createState())) {
  WSI_CHECK(state_ != nullptr);
  XXH3_128bits_reset(Xxh(state_.get()));
}

void Hasher::Add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(Xxh(state_.get()), bytes.data(), bytes.size());
}

Hash128 Hasher::Finish() const { return Canonical(XXH3_128bits_digest(Xxh(state_.get()))); }

void Hasher::Free::operator()(State* state) const { XXH3_freeState(Xxh(state)); }

}  // namespace wsi
