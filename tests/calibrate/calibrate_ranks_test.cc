// What ranks measure at once. CTest runs this program as one rank and as two.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/calibrate/calibrate.h"
#include "runtime/calibrate/link.h"
#include "runtime/calibrate/slowest.h"
#include "runtime/timing/rates.h"
#include "tests/base/temp_folder.h"
#include "tests/comm/ranks_environment.h"

namespace wsi {
namespace {

void ExpectSameOnAllRanks(Communicator& ranks, const std::string& own) {
  const auto all = ranks.Gather(own);
  ASSERT_TRUE(all.ok()) << all.status().message();
  for (const std::string& other : *all) EXPECT_EQ(other, all->front());
}

TEST(Link, IsMeasuredAndTheSameOnAllRanks) {
  Communicator& ranks = TheRanks();
  if (ranks.size() == 1) GTEST_SKIP() << "one rank";
  const std::unique_ptr<Backend> backend = MakeCpuBackend({.threads = 1});
  const Result<RankLink> link = MeasureLink(ranks, backend.get());
  ASSERT_TRUE(link.ok()) << link.status().message();
  EXPECT_GT(link->latency_seconds, 0);
  EXPECT_LT(link->latency_seconds, 1);
  EXPECT_GT(link->bytes_per_second, 1e6);
  EXPECT_LT(link->bytes_per_second, 1e12);
  EXPECT_GE(link->compute_seconds_per_byte, 0);
  EXPECT_LT(link->compute_seconds_per_byte, 1e-6);
  ExpectSameOnAllRanks(ranks, fmt::format("{} {} {}", link->latency_seconds, link->bytes_per_second,
                                          link->compute_seconds_per_byte));
}

TEST(Slowest, SecondsAreTheLargestOfAnyRank) {
  Communicator& ranks = TheRanks();
  const Result<double> seconds = SlowestSeconds(ranks, 0.5 + ranks.rank());
  ASSERT_TRUE(seconds.ok()) << seconds.status().message();
  EXPECT_EQ(*seconds, 0.5 + (ranks.size() - 1));
}

TEST(Slowest, ARoundIsThatOfTheRankWithTheLargestSumNotTheLargestOfEachLaunch) {
  Communicator& ranks = TheRanks();
  // Rank 0 is slower in the first launch, the last rank as a whole.
  const double last = ranks.rank();
  const Result<std::vector<double>> round = SlowestRound(ranks, {5 - last, 1 + 3 * last});
  ASSERT_TRUE(round.ok()) << round.status().message();
  const double slowest = ranks.size() - 1;
  EXPECT_EQ(*round, (std::vector<double>{5 - slowest, 1 + 3 * slowest}));
}

TEST(CalibrateRanks, RatesAreTheSameOnAllRanks) {
  Communicator& ranks = TheRanks();
  const auto backend = MakeCpuBackend({.threads = 1});
  const Result<plan::Rates> rates =
      Calibrate(ranks, backend.get(), {.device = "here", .rounds = 3, .divisor = 32},
                BuiltInRates("cpu").value());
  ASSERT_TRUE(rates.ok()) << rates.status().message();
  const Result<std::string> json = RatesJson(*rates);
  ASSERT_TRUE(json.ok());
  ExpectSameOnAllRanks(ranks, *json);
}

TEST(CalibrateRanks, AnErrorOfOneIsThatOfAll) {
  Communicator& ranks = TheRanks();
  const TempFolder folder;
  const bool is_last = ranks.rank() == ranks.size() - 1;
  const auto backend = MakeCpuBackend({.threads = 1});
  const Result<plan::Rates> rates = Calibrate(
      ranks, backend.get(),
      {.spill_dir = is_last ? "/no/such/folder" : folder.Path(""), .rounds = 1, .divisor = 32},
      BuiltInRates("cpu").value());
  ASSERT_FALSE(rates.ok());
  EXPECT_NE(rates.status().message().find("/no/such/folder"), std::string::npos)
      << rates.status().message();
}

}  // namespace
}  // namespace wsi
