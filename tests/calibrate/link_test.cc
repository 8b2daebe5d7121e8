// The link between ranks. CTest runs this program as two ranks.
#include "runtime/calibrate/link.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "runtime/backends/cpu/cpu_backend.h"

namespace wsi {
namespace {

TEST(Link, IsMeasuredAndTheSameOnAllRanks) {
  const Result<std::unique_ptr<Communicator>> connected = Connect({});
  ASSERT_TRUE(connected.ok()) << connected.status().message();
  Communicator& ranks = **connected;
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
  const auto all = ranks.Gather(fmt::format(
      "{} {} {}", link->latency_seconds, link->bytes_per_second, link->compute_seconds_per_byte));
  ASSERT_TRUE(all.ok());
  for (const std::string& other : *all) EXPECT_EQ(other, all->front());
}

}  // namespace
}  // namespace wsi
