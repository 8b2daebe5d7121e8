#include "runtime/base/status.h"

#include <gtest/gtest.h>

#include <memory>

namespace wsi {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return InvalidInput("odd");
  return n / 2;
}
Result<int> Quarter(int n) {
  WSI_ASSIGN_OR_RETURN(const int half, Half(n));
  WSI_RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(Status, PropagatesWithContext) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(Quarter(6).status().WithContext("here").message(), "here: odd");
  EXPECT_TRUE(Status().WithContext("here").ok());
  EXPECT_EQ(ExitCode(ErrorCode::kPreempted), 75);
}

TEST(Status, ResultMovesItsValue) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 5);
}

TEST(StatusDeathTest, ValueOfAnErrorEndsTheProcess) {
  EXPECT_EXIT(static_cast<void>(Half(1).value()), testing::ExitedWithCode(70), "internal error");
}

}  // namespace
}  // namespace wsi
