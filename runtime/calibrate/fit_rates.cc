#include "runtime/calibrate/fit_rates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {
namespace {

double Predict(const Roofline& rates, const LaunchSample& sample) {
  return std::max(sample.flops / rates.flop_rate, sample.bytes / rates.memory_rate);
}

double Error(const Roofline& rates, std::span<const LaunchSample> samples) {
  double each = 0;
  double predicted = 0;
  double measured = 0;
  for (const LaunchSample& sample : samples) {
    const double seconds = Predict(rates, sample);
    each += std::abs(seconds / sample.seconds - 1);
    predicted += seconds;
    measured += sample.seconds;
  }
  return each / static_cast<double>(samples.size()) + std::abs(predicted / measured - 1);
}

// What the samples reach, one by one and together.
std::vector<double> Reached(std::span<const LaunchSample> samples, double LaunchSample::*work) {
  std::vector<double> rates;
  double all = 0;
  double seconds = 0;
  for (const LaunchSample& sample : samples) {
    all += sample.*work;
    seconds += sample.seconds;
    if (sample.*work > 0) rates.push_back(sample.*work / sample.seconds);
  }
  rates.push_back(all > 0 ? all / seconds : 1);  // No such work: any rate predicts 0.
  return rates;
}

std::vector<LaunchSample> Select(std::span<const LaunchSample> samples, const std::string& op,
                                 const std::function<bool(const LaunchSample&)>& wanted) {
  std::vector<LaunchSample> selected;
  for (const LaunchSample& sample : samples) {
    if (sample.op == op && wanted(sample)) selected.push_back(sample);
  }
  return selected;
}

plan::OperatorRate FitOperator(std::span<const LaunchSample> samples, const std::string& op) {
  plan::OperatorRate rate;
  const auto fit = [&](bool matrix, bool half) {
    const std::vector<LaunchSample> of_kind = Select(
        samples, op, [&](const LaunchSample& s) { return s.matrix == matrix && s.half == half; });
    return of_kind.empty() ? Roofline() : FitRoofline(of_kind);
  };
  // Bytes count the same whatever the type is.
  const Roofline single = fit(true, false);
  const Roofline half = fit(true, true);
  const std::vector<LaunchSample> vector =
      Select(samples, op, [](const LaunchSample& s) { return !s.matrix; });
  const Roofline other = vector.empty() ? Roofline() : FitRoofline(vector);
  rate.set_flops_fp32(RoundedRate(single.flop_rate));
  rate.set_flops_half(RoundedRate(half.flop_rate));
  rate.set_vector_flops(RoundedRate(other.flop_rate));
  for (const Roofline& roofline : {single, half, other}) {
    if (rate.memory_bytes() == 0) rate.set_memory_bytes(RoundedRate(roofline.memory_rate));
  }
  return rate;
}

}  // namespace

double RoundedRate(double rate) {
  if (rate <= 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(rate)) - 3);
  return std::round(rate / unit) * unit;
}

Roofline FitRoofline(std::span<const LaunchSample> samples) {
  Roofline best;
  double least = 0;
  for (const double flop_rate : Reached(samples, &LaunchSample::flops)) {
    for (const double memory_rate : Reached(samples, &LaunchSample::bytes)) {
      const Roofline rates = {flop_rate, memory_rate};
      const double error = Error(rates, samples);
      if (best.flop_rate > 0 && error >= least) continue;
      best = rates;
      least = error;
    }
  }
  const bool computes = std::any_of(samples.begin(), samples.end(),
                                    [](const LaunchSample& sample) { return sample.flops > 0; });
  if (!computes) best.flop_rate = 0;
  return best;
}

void FitEachOperator(std::span<const LaunchSample> samples, plan::Rates* rates) {
  std::set<std::string> fitted;
  for (const LaunchSample& sample : samples) {
    if (!fitted.insert(sample.op).second) continue;
    (*rates->mutable_operators())[sample.op] = FitOperator(samples, sample.op);
  }
}

void FitOperators(std::span<const LaunchSample> samples, plan::Rates* rates) {
  FitEachOperator(samples, rates);
  for (const LaunchSample& sample : samples) {
    if (sample.matrix) continue;
    const double reached = RoundedRate(sample.flops / sample.seconds);
    rates->set_vector_flops(std::max(rates->vector_flops(), reached));
  }
  rates->set_matrix_flops_fp32(rates->operators().at("Conv").flops_fp32());
  rates->set_matrix_flops_half(rates->operators().at("Conv").flops_half());
  rates->set_memory_bytes(rates->operators().at("Add").memory_bytes());
}

}  // namespace wsi
