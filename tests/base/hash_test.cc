#include "runtime/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace wsi {
namespace {

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// The digest of no bytes, from the specification of xxHash.
TEST(Hash, KnownAnswer) { EXPECT_EQ(HashBytes({}).ToHex(), "99aa06d3014798d86001c324468d497f"); }

TEST(Hash, PiecesHashAsTheWhole) {
  const std::string text(1000, 'x');
  Hasher hasher;
  hasher.Add(Bytes(text.substr(0, 7)));
  hasher.Add(Bytes(text.substr(7)));
  EXPECT_EQ(hasher.Finish(), HashBytes(Bytes(text)));
  EXPECT_NE(hasher.Finish(), HashBytes(Bytes(text + "x")));
}

}  // namespace
}  // namespace wsi
