// What an evaluation reports: accuracy, and the area under the ROC curve with its
// 95 % confidence interval.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

// An area under the ROC curve with its 95 % confidence interval, all in [0, 1]. NaN
// where a class has no samples, so that there is no curve.
struct Auc {
  double value = 0;
  double ci_low = 0;
  double ci_high = 0;
};

// The AUC of scores of positive and negative samples: the probability that a positive
// scores higher, ties counting half (Mann and Whitney 1947). The interval is DeLong's
// (DeLong et al. 1988, computed as Sun and Xu 2014) on the logit scale, which keeps it
// inside [0, 1]; at 0 and 1, where that has no width, it is Clopper and Pearson's
// interval for the smaller class ("rule of three" bound).
Auc BinaryAuc(std::span<const double> positives, std::span<const double> negatives);

// One sample's class probabilities (size: classes) and its true class.
struct Prediction {
  std::vector<double> probabilities;
  int64_t label = 0;
};

struct EvaluationMetrics {
  int64_t samples = 0;
  double accuracy = 0;  // Share of samples whose most probable class is the true one.
  // Two classes: of class 1 against class 0. More: mean over the classes of each against
  // the rest, with the interval from 2,000 stratified bootstrap samples of fixed seed.
  Auc auc;
};

// REQUIRES: every prediction has the same number of probabilities, at least two, and a
// label below it.
EvaluationMetrics ComputeMetrics(std::span<const Prediction> predictions);

// One point of a ROC curve: calling positive what scores at least `threshold`.
struct RocPoint {
  double threshold = 0;
  double false_positive_rate = 0;
  double true_positive_rate = 0;
};
// From (0,0) to (1,1), one point per distinct score. Empty where a class has no samples.
std::vector<RocPoint> RocCurve(std::span<const double> positives,
                               std::span<const double> negatives);

}  // namespace wsi
