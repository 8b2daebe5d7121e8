#include "runtime/base/checked.h"

#include <gtest/gtest.h>

#include <limits>

namespace wsi {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(Checked, ReportsOverflow) {
  EXPECT_EQ(CheckedMul(1 << 20, 1 << 20).value(), int64_t{1} << 40);
  EXPECT_FALSE(CheckedMul(kMax, 2).ok());
  EXPECT_FALSE(CheckedMul(kMax, -2).ok());
  EXPECT_EQ(CheckedAdd(kMax - 1, 1).value(), kMax);
  EXPECT_EQ(CheckedAdd(kMax, 1).status().code(), ErrorCode::kInvalidInput);
}

TEST(Checked, FormatsAndParsesBytes) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(Bytes{70} << 30), "70.0 GiB");
  EXPECT_EQ(ParseBytes("70GiB").value(), Bytes{70} << 30);
  EXPECT_EQ(ParseBytes("1.5 KiB").value(), 1536);
  EXPECT_EQ(ParseBytes("4096").value(), 4096);
  for (const char* bad : {"", "GiB", "-1", "1XB", "nan", "1e300TiB", "12 GiB x"}) {
    EXPECT_EQ(ParseBytes(bad).status().code(), ErrorCode::kUsage) << bad;
  }
}

}  // namespace
}  // namespace wsi
