// Predictions over slides, and what they are worth.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/train/batch_feeder.h"
#include "runtime/train/events.h"
#include "runtime/train/metrics.h"

namespace wsi {

struct SlidePrediction {
  int64_t row = 0;                    // in the manifest
  std::vector<double> probabilities;  // Per class.
};

// Class probabilities of each of `rows` by the program "infer", in their order; slides
// skipped as bad are left out. Scores of a cross-entropy plan go through softmax, those of
// a bce plan through a sigmoid (one column: the probability of class 1), others stay.
// `progress` may be null.
Result<std::vector<SlidePrediction>> Predict(Executor& executor, const Manifest& manifest,
                                             const std::vector<int64_t>& rows,
                                             const LoaderOptions& options, Progress* progress);

// REQUIRES: every row of `predictions` has a label below the number of probabilities.
EvaluationMetrics Evaluate(const Manifest& manifest,
                           const std::vector<SlidePrediction>& predictions);
// Mean of -log p(true class), probabilities kept at or above 1e-12.
double MeanLogLoss(const Manifest& manifest, const std::vector<SlidePrediction>& predictions);

// Columns: slide_id, case_id, label, predicted, then the probability of each class.
Status WritePredictions(const std::string& path, const Manifest& manifest,
                        const std::vector<SlidePrediction>& predictions, OutputOptions options);
// Columns: class, threshold, false_positive_rate, true_positive_rate; each class against
// the rest, for two classes the second only.
Status WriteRoc(const std::string& path, const Manifest& manifest,
                const std::vector<SlidePrediction>& predictions, OutputOptions options);

// kInvalidInput unless the plan's scores have a column for each class of the manifest.
Status CheckClasses(const plan::Plan& plan, const Manifest& manifest);

}  // namespace wsi
