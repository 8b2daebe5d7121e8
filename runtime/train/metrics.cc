#include "runtime/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/base/philox.h"

namespace wsi {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kZ95 = 1.959963984540054;  // The normal distribution's 97.5 % quantile.

// Ranks from 1, ties sharing their mean rank.
std::vector<double> MidRanks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + end + 1) / 2.0;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
    begin = end;
  }
  return ranks;
}

double Variance(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return sum / (n - 1);
}

// For each sample of a class, the share of the other class on its right side.
struct Placements {
  std::vector<double> positive;
  std::vector<double> negative;
};

Placements ComputePlacements(std::span<const double> positives, std::span<const double> negatives) {
  std::vector<double> all(positives.begin(), positives.end());
  all.insert(all.end(), negatives.begin(), negatives.end());
  const std::vector<double> rank_all = MidRanks(all);
  const std::vector<double> rank_positive = MidRanks(positives);
  const std::vector<double> rank_negative = MidRanks(negatives);
  const auto m = static_cast<double>(positives.size());
  const auto n = static_cast<double>(negatives.size());
  Placements placements;
  for (size_t i = 0; i < positives.size(); ++i) {
    placements.positive.push_back((rank_all[i] - rank_positive[i]) / n);
  }
  for (size_t i = 0; i < negatives.size(); ++i) {
    placements.negative.push_back(1 - (rank_all[positives.size() + i] - rank_negative[i]) / m);
  }
  return placements;
}

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> Scores(std::span<const Prediction> predictions, std::span<const size_t> chosen,
                           size_t class_index, bool positive) {
  std::vector<double> scores;
  for (const size_t i : chosen) {
    const Prediction& p = predictions[i];
    if ((p.label == static_cast<int64_t>(class_index)) == positive) {
      scores.push_back(p.probabilities[class_index]);
    }
  }
  return scores;
}

// Mean over classes of one against the rest; NaN where a class is missing.
double MacroAuc(std::span<const Prediction> predictions, std::span<const size_t> chosen) {
  const size_t classes = predictions[0].probabilities.size();
  double sum = 0;
  for (size_t c = 0; c < classes; ++c) {
    const std::vector<double> positives = Scores(predictions, chosen, c, true);
    const std::vector<double> negatives = Scores(predictions, chosen, c, false);
    if (positives.empty() || negatives.empty()) return kNaN;
    sum += Mean(ComputePlacements(positives, negatives).positive);
  }
  return sum / static_cast<double>(classes);
}

Auc BootstrapMacroAuc(std::span<const Prediction> predictions) {
  constexpr int kResamples = 2000;
  const size_t classes = predictions[0].probabilities.size();
  std::vector<size_t> everything(predictions.size());
  std::iota(everything.begin(), everything.end(), size_t{0});
  Auc auc{MacroAuc(predictions, everything), kNaN, kNaN};
  if (std::isnan(auc.value)) return auc;

  std::vector<std::vector<size_t>> by_class(classes);
  for (const size_t i : everything) {
    by_class[static_cast<size_t>(predictions[i].label)].push_back(i);
  }
  std::vector<double> values;
  for (uint32_t resample = 0; resample < kResamples; ++resample) {
    std::vector<size_t> chosen;
    for (const std::vector<size_t>& members : by_class) {
      for (size_t k = 0; k < members.size(); ++k) {
        const auto word = Philox4x32({static_cast<uint32_t>(chosen.size()), resample, 0, 0},
                                     {0x41554342U, 0U})[0];
        chosen.push_back(members[static_cast<size_t>(uint64_t{word} * members.size() >> 32)]);
      }
    }
    values.push_back(MacroAuc(predictions, chosen));
  }
  std::sort(values.begin(), values.end());
  auc.ci_low = values[kResamples / 40];
  auc.ci_high = values[kResamples * 39 / 40];
  return auc;
}

}  // namespace

Auc BinaryAuc(std::span<const double> positives, std::span<const double> negatives) {
  if (positives.empty() || negatives.empty()) return {kNaN, kNaN, kNaN};
  const Placements placements = ComputePlacements(positives, negatives);
  const double value = Mean(placements.positive);
  const double variance = Variance(placements.positive) / static_cast<double>(positives.size()) +
                          Variance(placements.negative) / static_cast<double>(negatives.size());
  if (value <= 0 || value >= 1) {
    const auto smaller = static_cast<double>(std::min(positives.size(), negatives.size()));
    const double width = 1 - std::pow(0.025, 1 / smaller);
    return value <= 0 ? Auc{0, 0, width} : Auc{1, 1 - width, 1};
  }
  const double logit = std::log(value / (1 - value));
  const double half_width = kZ95 * std::sqrt(variance) / (value * (1 - value));
  const auto logistic = [](double x) { return 1 / (1 + std::exp(-x)); };
  return {value, logistic(logit - half_width), logistic(logit + half_width)};
}

EvaluationMetrics ComputeMetrics(std::span<const Prediction> predictions) {
  EvaluationMetrics metrics;
  metrics.samples = static_cast<int64_t>(predictions.size());
  if (predictions.empty()) {
    metrics.accuracy = kNaN;
    metrics.auc = {kNaN, kNaN, kNaN};
    return metrics;
  }
  const size_t classes = predictions[0].probabilities.size();
  int64_t correct = 0;
  for (const Prediction& p : predictions) {
    WSI_CHECK(p.probabilities.size() == classes && classes >= 2);
    WSI_CHECK(p.label >= 0 && p.label < static_cast<int64_t>(classes));
    const auto best = std::max_element(p.probabilities.begin(), p.probabilities.end());
    correct += best - p.probabilities.begin() == p.label ? 1 : 0;
  }
  metrics.accuracy = static_cast<double>(correct) / static_cast<double>(predictions.size());
  if (classes > 2) {
    metrics.auc = BootstrapMacroAuc(predictions);
    return metrics;
  }
  std::vector<size_t> everything(predictions.size());
  std::iota(everything.begin(), everything.end(), size_t{0});
  metrics.auc = BinaryAuc(Scores(predictions, everything, 1, true),
                          Scores(predictions, everything, 1, false));
  return metrics;
}

std::vector<RocPoint> RocCurve(std::span<const double> positives,
                               std::span<const double> negatives) {
  if (positives.empty() || negatives.empty()) return {};
  std::vector<double> p(positives.begin(), positives.end());
  std::vector<double> n(negatives.begin(), negatives.end());
  std::sort(p.rbegin(), p.rend());
  std::sort(n.rbegin(), n.rend());
  std::vector<RocPoint> points = {{kInfinity, 0, 0}};
  size_t true_positives = 0;
  size_t false_positives = 0;
  while (true_positives < p.size() || false_positives < n.size()) {
    double threshold = -kInfinity;
    if (true_positives < p.size()) threshold = p[true_positives];
    if (false_positives < n.size()) threshold = std::max(threshold, n[false_positives]);
    while (true_positives < p.size() && p[true_positives] >= threshold) ++true_positives;
    while (false_positives < n.size() && n[false_positives] >= threshold) ++false_positives;
    points.push_back({threshold,
                      static_cast<double>(false_positives) / static_cast<double>(n.size()),
                      static_cast<double>(true_positives) / static_cast<double>(p.size())});
  }
  return points;
}

}  // namespace wsi
