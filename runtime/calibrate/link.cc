#include "runtime/calibrate/link.h"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/calibrate/fit_rates.h"
#include "runtime/calibrate/launch_cases.h"
#include "runtime/calibrate/launch_timer.h"
#include "runtime/calibrate/slowest.h"
#include "runtime/comm/agreement.h"

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
    WSI_RETURN_IF_ERROR(SlowestSeconds(ranks, 0).status());  // All begin together.
    if (at + floats > all.size()) at = 0;
    const double start = MarkSeconds();
    WSI_RETURN_IF_ERROR(ranks.Mean(all.subspan(at, floats), SumOrder::kAny));
    at += floats;
    WSI_ASSIGN_OR_RETURN(const double last, SlowestSeconds(ranks, MarkSeconds() - start));
    if (round >= 0) seconds.push_back(last);
  }
  const auto middle = seconds.begin() + kRounds / 2;
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

// A convolution, of which backward has most.
LaunchCase BesideCase() {
  std::vector<LaunchCase> cases = LaunchCases(DType::kF32);
  const auto is_wanted = [](const LaunchCase& c) { return c.op == "ConvInputGrad"; };
  return *std::find_if(cases.begin(), cases.end(), is_wanted);
}

// Launches of about kBesideSeconds, by themselves and beside means of about half as long.
class LossMeasurement {
 public:
  LossMeasurement(Communicator& ranks, const RepeatedLaunch& launch, Lane* compute,
                  std::span<float> all)
      : ranks_(ranks), launch_(launch), compute_(compute), all_(all) {}

  Result<double> SecondsPerByte(const RankLink& link) {
    WSI_ASSIGN_OR_RETURN(const double first, Time(1, 0));  // Warms up.
    WSI_ASSIGN_OR_RETURN(const double one, Time(1, 0));
    const int launches = CountOf(std::min(one, first));
    const int means =
        CountOf(2 * AllReduceSeconds(kBesideBytes, ranks_.size(), link, AllReduceOrder::kAny));
    std::vector<double> lost;
    for (int round = 0; round < kBesideRounds; ++round) {
      WSI_ASSIGN_OR_RETURN(const double alone, Time(launches, 0));
      WSI_ASSIGN_OR_RETURN(const double beside, Time(launches, means));
      lost.push_back(beside - alone);
    }
    std::sort(lost.begin(), lost.end());
    const double bytes = static_cast<double>(kBesideBytes) * means;
    return std::max(lost[lost.size() / 2], 0.0) / bytes;
  }

 private:
  static constexpr double kBesideSeconds = 0.25;
  static constexpr int kBesideRounds = 3;
  static constexpr Bytes kBesideBytes = Bytes{4} << 20;

  static int CountOf(double seconds) {
    return static_cast<int>(std::clamp(kBesideSeconds / std::max(seconds, 1e-9), 1.0, 10'000.0));
  }

  // As the slowest rank sees them, all having begun at once.
  Result<double> Time(int launches, int means) {
    WSI_RETURN_IF_ERROR(SlowestSeconds(ranks_, 0).status());
    const auto sum = [&]() -> Status {
      const size_t floats = static_cast<size_t>(kBesideBytes) / sizeof(float);
      for (int i = 0; i < means; ++i) {
        if (at_ + floats > all_.size()) at_ = 0;
        WSI_RETURN_IF_ERROR(ranks_.Mean(all_.subspan(at_, floats), SumOrder::kAny));
        at_ += floats;
      }
      return {};
    };
    WSI_ASSIGN_OR_RETURN(const double own, launch_.Time(compute_, launches, sum));
    return SlowestSeconds(ranks_, own);
  }

  Communicator& ranks_;
  const RepeatedLaunch& launch_;
  Lane* compute_;
  std::span<float> all_;
  size_t at_ = 0;
};

}  // namespace

Result<RankLink> MeasureLink(Communicator& ranks, Backend* backend) {
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

  const Result<std::unique_ptr<Lane>> compute = backend->MakeLane("compute");
  Result<RepeatedLaunch> launch = RepeatedLaunch::Make(backend, BesideCase());
  WSI_RETURN_IF_ERROR(Agree(ranks, compute.ok() ? Status() : compute.status()));
  WSI_RETURN_IF_ERROR(Agree(ranks, launch.ok() ? Status() : launch.status()));
  LossMeasurement loss(ranks, *launch, compute->get(), all);
  WSI_ASSIGN_OR_RETURN(link.compute_seconds_per_byte, loss.SecondsPerByte(link));
  link.compute_seconds_per_byte = RoundedRate(link.compute_seconds_per_byte);
  return link;
}

}  // namespace wsi
