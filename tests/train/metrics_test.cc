#include "runtime/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/philox.h"

namespace wsi {
namespace {

constexpr double kZ = 1.959963984540054;

// Mann and Whitney's statistic as it is defined: pairs won, ties counting half.
double PairCount(const std::vector<double>& positives, const std::vector<double>& negatives) {
  double won = 0;
  for (const double p : positives) {
    for (const double n : negatives) won += p > n ? 1 : p == n ? 0.5 : 0;
  }
  return won / static_cast<double>(positives.size() * negatives.size());
}

// DeLong's variance from the matrix of pairs: the kernel's row and column means.
double PairVariance(const std::vector<double>& positives, const std::vector<double>& negatives) {
  const double auc = PairCount(positives, negatives);
  const auto sample_variance = [auc](const std::vector<double>& of, double count,
                                     const auto& component) {
    double sum = 0;
    for (const double v : of) sum += std::pow(component(v) - auc, 2);
    return sum / (count - 1) / count;
  };
  return sample_variance(positives, static_cast<double>(positives.size()),
                         [&](double p) { return PairCount({p}, negatives); }) +
         sample_variance(negatives, static_cast<double>(negatives.size()),
                         [&](double n) { return PairCount(positives, {n}); });
}

// `count` scores of which many are equal.
std::vector<double> CoarseScores(int64_t stream, size_t count, double shift) {
  const PhiloxStream random(7, 0, stream);
  std::vector<double> scores;
  for (size_t i = 0; i < count; ++i) {
    scores.push_back(
        std::floor(10 * static_cast<double>(random.Uniform(static_cast<int64_t>(i)))) / 10 + shift);
  }
  return scores;
}

TEST(BinaryAuc, EqualsPairCountingWithTies) {
  for (int64_t i = 0; i < 20; ++i) {
    const std::vector<double> p = CoarseScores(2 * i, static_cast<size_t>(5 + i), 0.2);
    const std::vector<double> n = CoarseScores(2 * i + 1, static_cast<size_t>(30 - i), 0);
    EXPECT_NEAR(BinaryAuc(p, n).value, PairCount(p, n), 1e-12) << i;
  }
}

TEST(BinaryAuc, IntervalIsDeLongsOnTheLogitScale) {
  // Pairs won: 4 + 4 + 2.5 + 2 of 16. Row means 1, 1, 0.625, 0.5; column means 1, 1, 0.625, 0.5.
  const std::vector<double> p = {0.9, 0.8, 0.6, 0.5};
  const std::vector<double> n = {0.1, 0.2, 0.6, 0.7};
  const double auc = 12.5 / 16;
  // Each side: deviations 0.21875, 0.21875, -0.15625, -0.28125 squared and summed over 3 and 4.
  const double variance =
      2 * (2 * 0.21875 * 0.21875 + 0.15625 * 0.15625 + 0.28125 * 0.28125) / 3 / 4;
  EXPECT_NEAR(PairVariance(p, n), variance, 1e-15);
  const double half_width = kZ * std::sqrt(variance) / (auc * (1 - auc));
  const double logit = std::log(auc / (1 - auc));
  const Auc found = BinaryAuc(p, n);
  EXPECT_NEAR(found.value, auc, 1e-12);
  EXPECT_NEAR(found.ci_low, 1 / (1 + std::exp(half_width - logit)), 1e-12);
  EXPECT_NEAR(found.ci_high, 1 / (1 + std::exp(-half_width - logit)), 1e-12);
}

TEST(BinaryAuc, IntervalOfManyScoresFollowsThePairs) {
  const std::vector<double> p = CoarseScores(100, 60, 0.25);
  const std::vector<double> n = CoarseScores(101, 45, 0);
  const Auc found = BinaryAuc(p, n);
  const double half_width = kZ * std::sqrt(PairVariance(p, n)) / (found.value * (1 - found.value));
  const double logit = std::log(found.value / (1 - found.value));
  EXPECT_NEAR(std::log(found.ci_low / (1 - found.ci_low)), logit - half_width, 1e-9);
  EXPECT_NEAR(std::log(found.ci_high / (1 - found.ci_high)), logit + half_width, 1e-9);
}

TEST(BinaryAuc, PerfectSeparationHasAOneSidedInterval) {
  const Auc best = BinaryAuc(std::vector<double>{3, 4, 5}, std::vector<double>{1, 2});
  EXPECT_EQ(best.value, 1);
  EXPECT_EQ(best.ci_high, 1);
  EXPECT_NEAR(best.ci_low, std::sqrt(0.025), 1e-12);  // 0.025^(1/2): two in the smaller class.
  const Auc worst = BinaryAuc(std::vector<double>{1, 2}, std::vector<double>{3, 4, 5});
  EXPECT_EQ(worst.value, 0);
  EXPECT_EQ(worst.ci_low, 0);
  EXPECT_NEAR(worst.ci_high, 1 - std::sqrt(0.025), 1e-12);
}

TEST(BinaryAuc, WithoutAClassThereIsNone) {
  const std::vector<double> some = {0.5};
  for (const Auc& auc : {BinaryAuc(some, {}), BinaryAuc({}, some), BinaryAuc({}, {})}) {
    EXPECT_TRUE(std::isnan(auc.value));
    EXPECT_TRUE(std::isnan(auc.ci_low));
    EXPECT_TRUE(std::isnan(auc.ci_high));
  }
}

TEST(ComputeMetrics, TwoClassesUseTheSecond) {
  const std::vector<Prediction> predictions = {
      {{0.9, 0.1}, 0}, {{0.4, 0.6}, 0}, {{0.3, 0.7}, 1}, {{0.8, 0.2}, 1}};
  const EvaluationMetrics metrics = ComputeMetrics(predictions);
  EXPECT_EQ(metrics.samples, 4);
  EXPECT_EQ(metrics.accuracy, 0.5);
  EXPECT_EQ(metrics.auc.value, 0.75);
}

TEST(ComputeMetrics, ManyClassesAreTheMeanOfOneAgainstTheRest) {
  std::vector<Prediction> predictions;
  const PhiloxStream random(3, 0, 0);
  for (int64_t i = 0; i < 30; ++i) {
    const int64_t label = i % 3;
    std::vector<double> p(3);
    for (size_t c = 0; c < 3; ++c) {
      p[c] = random.Uniform(3 * i + static_cast<int64_t>(c)) +
             (static_cast<int64_t>(c) == label ? 0.4 : 0);
    }
    predictions.push_back({p, label});
  }
  double sum = 0;
  for (size_t c = 0; c < 3; ++c) {
    std::vector<double> positives;
    std::vector<double> negatives;
    for (const Prediction& p : predictions) {
      (p.label == static_cast<int64_t>(c) ? positives : negatives).push_back(p.probabilities[c]);
    }
    sum += PairCount(positives, negatives);
  }
  const Auc auc = ComputeMetrics(predictions).auc;
  EXPECT_NEAR(auc.value, sum / 3, 1e-12);
  EXPECT_LT(auc.ci_low, auc.value);
  EXPECT_GT(auc.ci_high, auc.value);
  EXPECT_GT(auc.ci_high - auc.ci_low, 0.02);
  EXPECT_LE(auc.ci_high, 1);
  EXPECT_EQ(ComputeMetrics(predictions).auc.ci_low, auc.ci_low);  // Its seed is fixed.
}

TEST(ComputeMetrics, AMissingClassLeavesNoAuc) {
  const std::vector<Prediction> predictions = {{{0.2, 0.3, 0.5}, 2}, {{0.6, 0.3, 0.1}, 0}};
  const EvaluationMetrics metrics = ComputeMetrics(predictions);
  EXPECT_EQ(metrics.accuracy, 1);
  EXPECT_TRUE(std::isnan(metrics.auc.value));
  EXPECT_TRUE(std::isnan(ComputeMetrics({}).auc.value));
}

TEST(RocCurve, HasAPointPerDistinctScoreAndTheAucBelowIt) {
  const std::vector<double> p = {0.9, 0.8, 0.6, 0.5};
  const std::vector<double> n = {0.1, 0.2, 0.6, 0.7};
  const std::vector<RocPoint> curve = RocCurve(p, n);
  ASSERT_EQ(curve.size(), 8U);  // (0,0) and seven scores.
  double area = 0;
  for (size_t i = 1; i < curve.size(); ++i) {
    EXPECT_LT(curve[i].threshold, curve[i - 1].threshold);
    area += (curve[i].false_positive_rate - curve[i - 1].false_positive_rate) *
            (curve[i].true_positive_rate + curve[i - 1].true_positive_rate) / 2;
  }
  EXPECT_EQ(curve.front().true_positive_rate, 0);
  EXPECT_EQ(curve.back().true_positive_rate, 1);
  EXPECT_EQ(curve.back().false_positive_rate, 1);
  EXPECT_NEAR(area, PairCount(p, n), 1e-12);
  EXPECT_TRUE(RocCurve({}, n).empty());
}

}  // namespace
}  // namespace wsi
