#include "runtime/timing/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "runtime/timing/all_reduce_time.h"
#include "runtime/timing/simulate.h"
#include "tests/timing/schedule.h"

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr RankLink kLink = {.latency_seconds = 1, .bytes_per_second = 4};

double Seconds(Bytes bytes, int ranks, AllReduceOrder order = AllReduceOrder::kAny) {
  return AllReduceSeconds(bytes, ranks, kLink, order);
}

TEST(AllReduceTime, OneRankHasNothingToAdd) {
  EXPECT_EQ(Seconds(1 << 20, 1), 0);
  EXPECT_EQ(Seconds(1 << 20, 1, AllReduceOrder::kByRanks), 0);
}

TEST(AllReduceTime, FewBytesGoFromPartnerToPartner) {
  EXPECT_EQ(Seconds(0, 2), 1);
  EXPECT_EQ(Seconds(4, 8), 3 * (1 + 1));
  EXPECT_EQ(Seconds(0, 5), 3);  // Three rounds, as of eight.
  EXPECT_EQ(Seconds(0, 1024), 10);
}

TEST(AllReduceTime, ManyBytesGoAround) {
  EXPECT_EQ(Seconds(4000, 4), 6 + 1.5 * 1000);
  EXPECT_EQ(Seconds(4000, 4, AllReduceOrder::kByRanks), 6 + 1.5 * 1000);
}

TEST(AllReduceTime, ManyRanksUseTrees) {
  EXPECT_EQ(Seconds(4000, 1024), 2 * 10 + 2 * 1000);
  // In their order they take as many turns as there are ranks.
  EXPECT_EQ(Seconds(0, 1024, AllReduceOrder::kByRanks), 2 * 1023);
}

TEST(AllReduceTime, TheLinkIsFoundFromWhatItTakes) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    const int ranks = 2 + static_cast<int>(random() % 63);
    const RankLink link = {.latency_seconds = 1e-6 * static_cast<double>(1 + random() % 50),
                           .bytes_per_second = 1e9 * static_cast<double>(1 + random() % 20)};
    const Bytes bytes = Bytes{64} << 20;
    const std::vector<AllReduceSample> samples = {
        {.bytes = bytes, .seconds = AllReduceSeconds(bytes, ranks, link, AllReduceOrder::kAny)}};
    const RankLink found =
        FitLink(AllReduceSeconds(0, ranks, link, AllReduceOrder::kAny), samples, ranks);
    EXPECT_NEAR(found.latency_seconds / link.latency_seconds, 1, 1e-9) << ranks;
    EXPECT_NEAR(found.bytes_per_second / link.bytes_per_second, 1, 1e-9) << ranks;
  }
}

TEST(AllReduceTime, ALatencyAboveTheWholeStillGivesABandwidth) {
  const std::vector<AllReduceSample> samples = {{.bytes = 1000, .seconds = 1}};
  const RankLink link = FitLink(5, samples, 2);
  EXPECT_EQ(link.latency_seconds, 5);
  EXPECT_NEAR(link.bytes_per_second, 100'000, 1e-6);
}

TEST(AllReduceTime, RatesKeepTheLink) {
  plan::Rates rates = UnitRates();
  EXPECT_EQ(LinkOf(rates).compute_seconds_per_byte, 0);
  SetLink({.latency_seconds = 1, .bytes_per_second = 4, .compute_seconds_per_byte = 0.25}, rates);
  const RankLink link = LinkOf(rates);
  EXPECT_EQ(link.latency_seconds, 1);
  EXPECT_EQ(link.bytes_per_second, 4);
  EXPECT_EQ(link.compute_seconds_per_byte, 0.25);
  SetLink(kLink, rates);
  EXPECT_EQ(LinkOf(rates).compute_seconds_per_byte, 0);
}

TEST(Scaling, CountsWhatNothingHides) {
  const Schedule schedule = TwoBuckets();
  const Scaling scaling = PredictScaling(schedule.plan(), 0, LinkRates(), std::vector{2, 4});
  EXPECT_EQ(scaling.collectives, 2);
  EXPECT_EQ(scaling.collective_bytes, 48);
  EXPECT_EQ(scaling.one_rank_seconds, 22);
  ASSERT_EQ(scaling.rows.size(), 2U);
  // Agreements of 24 bytes take 6 s each, too.
  EXPECT_EQ(scaling.rows[0].collective_seconds, 12 + 3 * 6);
  EXPECT_EQ(scaling.rows[0].step_seconds, 27 + 3 * 6);
  EXPECT_EQ(scaling.rows[0].exposed_seconds, 5 + 3 * 6);
  EXPECT_EQ(scaling.rows[0].efficiency, 22.0 / 45);
  EXPECT_EQ(scaling.rows[1].collective_seconds, 5 * 9);  // 1.5 times the bytes.
}

TEST(Scaling, AccumulationSharesTheCollectives) {
  Schedule schedule = TwoBuckets();
  schedule.plan().mutable_training()->set_accumulation_steps(4);
  const Scaling scaling = PredictScaling(schedule.plan(), 0, LinkRates(), std::vector{2});
  EXPECT_EQ(scaling.one_rank_seconds, 3 * 20 + 22);
  EXPECT_EQ(scaling.rows[0].samples, 8);
  EXPECT_EQ(scaling.rows[0].step_seconds, 3 * 20 + 27 + 4 * 3 * 6);
}

TEST(Scaling, DeterministicPlansAddUpByRanks) {
  Schedule schedule = TwoBuckets();
  plan::Rates rates = LinkRates();
  rates.set_link_seconds(1);
  const auto collectives = [&] {
    return SimulateProgram(schedule.plan(), schedule.program(), rates, {.ranks = 2})
        .lanes[plan::LANE_COMM]
        .busy_seconds;
  };
  EXPECT_EQ(collectives(), 2 * (1 + 6));
  schedule.plan().set_deterministic(true);
  EXPECT_EQ(collectives(), 2 * (2 + 6));
}

TEST(Scaling, SaysItInTextAndJson) {
  const Schedule schedule = TwoBuckets();
  const Scaling scaling = PredictScaling(schedule.plan(), 0, LinkRates(), std::vector{1, 2});
  const std::string text = ScalingText(schedule.plan(), LinkRates(), scaling);
  EXPECT_THAT(text, HasSubstr("48 B in 2 collectives"));
  EXPECT_THAT(text, HasSubstr("      1            1    22000.000           0.000        0.000     "
                              "100.0 %         0.05\n"));
  EXPECT_THAT(text, HasSubstr("      2            2    45000.000       30000.000    23000.000      "
                              "48.9 %         0.04\n"));
  const auto json = nlohmann::json::parse(ScalingJson(schedule.plan(), LinkRates(), scaling));
  EXPECT_EQ(json["one_rank_step_ms"], 22000.0);
  EXPECT_EQ(json["link_bytes_per_second"], 4.0);
  EXPECT_EQ(json["scaling"][1]["exposed_ms"], 23000.0);
  EXPECT_EQ(json["scaling"][0]["efficiency"], 1.0);
}

}  // namespace
}  // namespace wsi
