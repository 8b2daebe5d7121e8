#include "runtime/calibrate/link.h"

#include <algorithm>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/calibrate/fit_rates.h"

namespace wsi {
namespace {

constexpr size_t kFewFloats = 8;
constexpr int kRounds = 15;
// Each round takes another part of so much memory: in a step gradients are in no cache either.
constexpr size_t kAllFloats = size_t{16} << 20;

// Seconds of a mean that all ranks begin at once, until the last of them has it: the median.
Result<double> MeasureMean(Communicator& ranks, std::span<float> all, size_t floats) {
  size_t at = 0;
  std::vector<double> seconds;
  for (int round = -1; round < kRounds; ++round) {
    int64_t nanoseconds = 0;
    WSI_RETURN_IF_ERROR(ranks.Max(std::span(&nanoseconds, 1)));
    if (at + floats > all.size()) at = 0;
    const double start = MarkSeconds();
    WSI_RETURN_IF_ERROR(ranks.Mean(all.subspan(at, floats), SumOrder::kAny));
    at += floats;
    nanoseconds = static_cast<int64_t>((MarkSeconds() - start) * 1e9);
    WSI_RETURN_IF_ERROR(ranks.Max(std::span(&nanoseconds, 1)));
    if (round >= 0) seconds.push_back(static_cast<double>(nanoseconds) * 1e-9);
  }
  const auto middle = seconds.begin() + kRounds / 2;
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

Result<RankLink> MeasureLink(Communicator& ranks) {
  std::vector<float> memory(kAllFloats, 1.0F);
  const std::span<float> all(memory);
  WSI_ASSIGN_OR_RETURN(const double few, MeasureMean(ranks, all, kFewFloats));
  std::vector<AllReduceSample> samples;
  for (const Bytes bytes : {Bytes{1} << 20, Bytes{4} << 20, Bytes{16} << 20}) {
    WSI_ASSIGN_OR_RETURN(const double seconds,
                         MeasureMean(ranks, all, static_cast<size_t>(bytes) / sizeof(float)));
    samples.push_back({.bytes = bytes, .seconds = seconds});
  }
  RankLink link = FitLink(few, samples, ranks.size());
  link.latency_seconds = RoundedRate(link.latency_seconds);
  link.bytes_per_second = RoundedRate(link.bytes_per_second);
  return link;
}

}  // namespace wsi
