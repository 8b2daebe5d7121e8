// What ranks do together. CTest runs this program alone and as three ranks.
#include "runtime/comm/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <vector>

#include "runtime/comm/agreement.h"
#include "runtime/comm/device_share.h"
#include "tests/comm/ranks_environment.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Element i of rank r: numbers whose sum depends on its order.
float Element(size_t i, int r) {
  const float sign = (i + static_cast<size_t>(r)) % 2 == 0 ? 1.0F : -1.0F;
  return sign * (1.0F + static_cast<float>(i % 1000) * 1e-7F) *
         static_cast<float>(r * r * 1000 + 1);
}

TEST(Communicator, KnowsItsPlace) {
  const int launched = LaunchedRanks();
  EXPECT_EQ(TheRanks().size(), launched == 0 ? 1 : launched);
  EXPECT_LT(TheRanks().rank(), TheRanks().size());
  EXPECT_EQ(TheRanks().local_size(), TheRanks().size());
  EXPECT_EQ(TheRanks().local_rank(), TheRanks().rank());
}

TEST(Communicator, MeansByRanksAreSumsInTheirOrder) {
  Communicator& ranks = TheRanks();
  if (ranks.size() == 1) GTEST_SKIP() << "one rank";
  for (const size_t count : {0UL, 1UL, 2UL, 1001UL, (1UL << 20) + 5}) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = Element(i, ranks.rank());
    ASSERT_TRUE(ranks.Mean(std::span(values), SumOrder::kByRanks).ok());
    for (size_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int r = 0; r < ranks.size(); ++r) sum += Element(i, r);
      ASSERT_EQ(values[i], sum * (1.0F / static_cast<float>(ranks.size()))) << i << " of " << count;
    }
  }
}

TEST(Communicator, MeansInAnyOrderAreClose) {
  Communicator& ranks = TheRanks();
  for (const size_t count : {0UL, 1UL, 1001UL}) {
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = Element(i, ranks.rank());
    ASSERT_TRUE(ranks.Mean(std::span(values), SumOrder::kAny).ok());
    for (size_t i = 0; i < count; ++i) {
      double sum = 0;
      for (int r = 0; r < ranks.size(); ++r) sum += Element(i, r);
      ASSERT_NEAR(values[i], sum / ranks.size(), 1e-9);
    }
  }
}

TEST(Communicator, SharesWhatARankHas) {
  Communicator& ranks = TheRanks();
  std::vector<int64_t> numbers = {ranks.rank(), -ranks.rank()};
  ASSERT_TRUE(ranks.Max(numbers).ok());
  EXPECT_THAT(numbers, ElementsAre(ranks.size() - 1, 0));
  std::vector<int64_t> sent = {ranks.rank() == 0 ? 42 : 0};
  ASSERT_TRUE(ranks.Broadcast(std::as_writable_bytes(std::span(sent)), 0).ok());
  EXPECT_EQ(sent[0], 42);
  const auto gathered = ranks.Gather(std::string(static_cast<size_t>(ranks.rank()) * 3, 'x'));
  ASSERT_TRUE(gathered.ok());
  ASSERT_EQ(gathered->size(), static_cast<size_t>(ranks.size()));
  for (size_t r = 0; r < gathered->size(); ++r) EXPECT_EQ((*gathered)[r], std::string(r * 3, 'x'));
}

TEST(DeviceShare, EveryRankHasItsOwn) {
  Communicator& ranks = TheRanks();
  const OwnDevice own = {.id = "GPU-" + std::to_string(ranks.rank()), .name = "H100 on a"};
  EXPECT_TRUE(CheckDeviceShare(ranks, own, false).value());
  EXPECT_TRUE(CheckDeviceShare(ranks, {}, false).value());  // Processors are no matter.
}

TEST(DeviceShare, RanksOfOneDeviceAreRefused) {
  Communicator& ranks = TheRanks();
  if (ranks.size() == 1) GTEST_SKIP() << "one rank";
  const OwnDevice own = {.id = ranks.rank() == 0 ? "GPU-0" : "GPU-1", .name = "H100 on a"};
  const Status refused = CheckDeviceShare(ranks, own, false).status();
  EXPECT_EQ(refused.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(refused.message(), HasSubstr("ranks 1 and 2 would both compute on H100 on a"));
  EXPECT_FALSE(CheckDeviceShare(ranks, own, true).value());
}

TEST(Agreement, IsOnTheFirstFailure) {
  Communicator& ranks = TheRanks();
  EXPECT_TRUE(Agree(ranks, Status()).ok());
  const int last = ranks.size() - 1;
  const Status failed = Agree(ranks, ranks.rank() == last ? ResourceError("no disk") : Status());
  EXPECT_EQ(failed.code(), ErrorCode::kResources);
  EXPECT_THAT(failed.message(), HasSubstr("no disk"));
  if (last > 0) {
    EXPECT_THAT(failed.message(), HasSubstr("rank 2: "));
  }
}

TEST(Agreement, FactsAreTheSameOnAllRanks) {
  Communicator& ranks = TheRanks();
  const SharedFact same = {"another version", "1"};
  const SharedFact own = {"another plan", std::to_string(ranks.rank())};
  EXPECT_TRUE(CheckSame(ranks, std::vector{same}).ok());
  const Status status = CheckSame(ranks, std::vector{same, own});
  EXPECT_EQ(status.ok(), ranks.size() == 1);
  if (!status.ok()) {
    EXPECT_THAT(status.message(), HasSubstr("rank 1 has another plan"));
  }
}

}  // namespace
}  // namespace wsi
