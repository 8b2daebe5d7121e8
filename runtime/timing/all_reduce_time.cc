#include "runtime/timing/all_reduce_time.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

constexpr const char* kAllReduce = "AllReduce";

// messages * latency + share * bytes / bandwidth.
struct Algorithm {
  double messages = 0;
  double share = 0;
};

Algorithm Ring(int ranks) {
  const double others = ranks - 1;
  return {.messages = 2 * others, .share = 2 * others / ranks};
}

std::array<Algorithm, 3> Algorithms(int ranks) {
  const double levels = std::bit_width(static_cast<unsigned>(ranks - 1));  // ceil(log2(ranks))
  return {Ring(ranks), {.messages = 2 * levels, .share = 2}, {.messages = levels, .share = levels}};
}

double Seconds(const Algorithm& algorithm, Bytes bytes, const RankLink& link) {
  return algorithm.messages * link.latency_seconds +
         algorithm.share * static_cast<double>(bytes) / link.bytes_per_second;
}

}  // namespace

double AllReduceSeconds(Bytes bytes, int ranks, const RankLink& link, AllReduceOrder order) {
  if (ranks == 1) return 0;
  if (order == AllReduceOrder::kByRanks) return Seconds(Ring(ranks), bytes, link);
  double least = std::numeric_limits<double>::max();
  for (const Algorithm& algorithm : Algorithms(ranks)) {
    least = std::min(least, Seconds(algorithm, bytes, link));
  }
  return least;
}

RankLink FitLink(double seconds_of_few_bytes, std::span<const AllReduceSample> large, int ranks) {
  WSI_CHECK(ranks > 1 && !large.empty());
  double bytes = 0;
  double seconds = 0;
  for (const AllReduceSample& sample : large) {
    bytes += static_cast<double>(sample.bytes);
    seconds += sample.seconds;
  }
  const std::array<Algorithm, 3> algorithms = Algorithms(ranks);
  double fewest = std::numeric_limits<double>::max();
  for (const Algorithm& algorithm : algorithms) fewest = std::min(fewest, algorithm.messages);
  RankLink link = {.latency_seconds = seconds_of_few_bytes / fewest,
                   .bytes_per_second = std::numeric_limits<double>::max()};
  // Each algorithm would need a bandwidth of its own; with the lowest of them that one takes the
  // measured time and the others longer. Where latency was measured as more than all of the
  // time, sending counts with a hundredth.
  for (const Algorithm& algorithm : algorithms) {
    const double waiting =
        static_cast<double>(large.size()) * algorithm.messages * link.latency_seconds;
    const double sending = std::max(seconds - waiting, seconds / 100);
    link.bytes_per_second = std::min(link.bytes_per_second, algorithm.share * bytes / sending);
  }
  return link;
}

RankLink LinkOf(const plan::Rates& rates) {
  RankLink link = {.latency_seconds = rates.link_seconds(), .bytes_per_second = rates.link_bytes()};
  const auto beside = rates.operators().find(kAllReduce);
  if (beside != rates.operators().end() && beside->second.memory_bytes() > 0) {
    link.compute_seconds_per_byte = 1 / beside->second.memory_bytes();
  }
  return link;
}

void SetLink(const RankLink& link, plan::Rates& rates) {
  rates.set_link_bytes(link.bytes_per_second);
  rates.set_link_seconds(link.latency_seconds);
  rates.mutable_operators()->erase(kAllReduce);
  if (link.compute_seconds_per_byte <= 0) return;
  (*rates.mutable_operators())[kAllReduce].set_memory_bytes(1 / link.compute_seconds_per_byte);
}

Bytes CollectiveBytes(const plan::Plan& plan, const plan::Collective& collective) {
  // A plan from a stranger may name a value again and again.
  Bytes bytes = 0;
  for (const int32_t v : collective.values()) {
    const Result<Bytes> sum = CheckedAdd(bytes, ValueBytes(plan.values(v)));
    bytes = sum.ok() ? *sum : std::numeric_limits<Bytes>::max();
  }
  return bytes;
}

double CollectiveSeconds(const plan::Rates& rates, const plan::Plan& plan,
                         const plan::Collective& collective, int ranks) {
  return AllReduceSeconds(CollectiveBytes(plan, collective), ranks, LinkOf(rates),
                          plan.deterministic() ? AllReduceOrder::kByRanks : AllReduceOrder::kAny);
}

double ComputeShare(const plan::Rates& rates, const plan::Plan& plan,
                    const plan::Collective& collective, double seconds) {
  if (seconds <= 0) return 0;
  const auto bytes = static_cast<double>(CollectiveBytes(plan, collective));
  return std::min(LinkOf(rates).compute_seconds_per_byte * bytes / seconds, 1.0);
}

}  // namespace wsi
