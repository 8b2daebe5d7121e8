#include "runtime/train/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "runtime/plan/plan.pb.h"

namespace wsi {
namespace {

std::vector<double> ToProbabilities(std::span<const double> scores, const std::string& loss) {
  std::vector<double> p(scores.begin(), scores.end());
  if (loss == "bce") {
    for (double& v : p) v = 1 / (1 + std::exp(-v));
    if (p.size() == 1) p = {1 - p[0], p[0]};
  } else if (loss == "cross-entropy" || loss == "model") {
    const double largest = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (double& v : p) sum += v = std::exp(v - largest);
    for (double& v : p) v /= sum;
  }
  return p;
}

// A CSV field, quoted where RFC 4180 asks for it.
std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

const SlideRow& RowOf(const Manifest& manifest, const SlidePrediction& prediction) {
  return manifest.rows[static_cast<size_t>(prediction.row)];
}

}  // namespace

Result<std::vector<SlidePrediction>> Predict(Executor& executor, const Manifest& manifest,
                                             const std::vector<int64_t>& rows,
                                             const LoaderOptions& options, Progress* progress) {
  WSI_ASSIGN_OR_RETURN(const int program, executor.FindProgram("infer"));
  LoaderOptions plain = options;
  plain.augment = {};
  WSI_ASSIGN_OR_RETURN(const auto feeder,
                       BatchFeeder::Make(&executor, program, &manifest, std::move(plain)));
  WSI_RETURN_IF_ERROR(feeder->Enqueue(rows, 0));
  const std::string& loss = executor.plan().training().loss();
  std::vector<SlidePrediction> predictions;
  while (true) {
    WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> batch, feeder->Next(0));
    if (batch.empty()) break;
    const Result<double> ran = executor.Run(program, kAllPhases);
    if (!ran.ok()) return ran.status();
    WSI_ASSIGN_OR_RETURN(const Tensor output, executor.ReadOutput(program, 0));
    const std::vector<double> scores = output.ToDoubles();
    const size_t columns = scores.size() / static_cast<size_t>(feeder->input().batch);
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::span<const double> mine(scores.data() + i * columns, columns);
      if (!std::all_of(mine.begin(), mine.end(), [](double v) { return std::isfinite(v); })) {
        return NumericError(fmt::format("slide {}: a score is not finite",
                                        manifest.rows[static_cast<size_t>(batch[i])].slide_id));
      }
      predictions.push_back({batch[i], ToProbabilities(mine, loss)});
    }
    if (progress != nullptr) {
      progress->Update("evaluate", static_cast<int64_t>(predictions.size()),
                       static_cast<int64_t>(rows.size()), "");
    }
  }
  return predictions;
}

EvaluationMetrics Evaluate(const Manifest& manifest,
                           const std::vector<SlidePrediction>& predictions) {
  std::vector<Prediction> labelled;
  labelled.reserve(predictions.size());
  for (const SlidePrediction& p : predictions) {
    labelled.push_back({p.probabilities, RowOf(manifest, p).class_index});
  }
  return ComputeMetrics(labelled);
}

double MeanLogLoss(const Manifest& manifest, const std::vector<SlidePrediction>& predictions) {
  double sum = 0;
  for (const SlidePrediction& p : predictions) {
    const auto label = static_cast<size_t>(RowOf(manifest, p).class_index);
    sum -= std::log(std::max(p.probabilities[label], 1e-12));
  }
  return sum / static_cast<double>(std::max<size_t>(predictions.size(), 1));
}

Status WritePredictions(const std::string& path, const Manifest& manifest,
                        const std::vector<SlidePrediction>& predictions, OutputOptions options) {
  std::string text = "slide_id,case_id,label,predicted";
  for (const std::string& name : manifest.class_names) text += "," + Field("p_" + name);
  text += "\n";
  for (const SlidePrediction& p : predictions) {
    const SlideRow& row = RowOf(manifest, p);
    const auto best = std::max_element(p.probabilities.begin(), p.probabilities.end());
    const auto index = static_cast<size_t>(best - p.probabilities.begin());
    const std::string predicted =
        index < manifest.class_names.size() ? manifest.class_names[index] : fmt::to_string(index);
    text += fmt::format("{},{},{},{}", Field(row.slide_id), Field(row.case_id), Field(row.label),
                        Field(predicted));
    for (const double probability : p.probabilities) {
      fmt::format_to(std::back_inserter(text), ",{:.9g}", probability);
    }
    text += "\n";
  }
  return WriteFile(path, text, options);
}

Status WriteRoc(const std::string& path, const Manifest& manifest,
                const std::vector<SlidePrediction>& predictions, OutputOptions options) {
  std::string text = "class,threshold,false_positive_rate,true_positive_rate\n";
  const size_t classes = manifest.class_names.size();
  for (size_t c = classes == 2 ? 1 : 0; c < classes; ++c) {
    std::vector<double> positives;
    std::vector<double> negatives;
    for (const SlidePrediction& p : predictions) {
      const bool is_positive = RowOf(manifest, p).class_index == static_cast<int64_t>(c);
      (is_positive ? positives : negatives).push_back(p.probabilities[c]);
    }
    for (const RocPoint& point : RocCurve(positives, negatives)) {
      fmt::format_to(std::back_inserter(text), "{},{:.9g},{:.9g},{:.9g}\n",
                     Field(manifest.class_names[c]), point.threshold, point.false_positive_rate,
                     point.true_positive_rate);
    }
  }
  return WriteFile(path, text, options);
}

Status CheckClasses(const plan::Plan& plan, const Manifest& manifest) {
  for (const plan::Program& program : plan.programs()) {
    if (program.name() != "infer" || program.outputs_size() == 0) continue;
    const plan::Value& output = plan.values(program.outputs(0));
    int64_t columns = output.dims_size() >= 2 ? output.dims(1) : 1;
    if (columns == 1 && plan.training().loss() == "bce") columns = 2;
    const auto classes = static_cast<int64_t>(manifest.class_names.size());
    if (columns >= classes) return {};
    return InvalidInput(fmt::format(
        "{}: {} classes, but the model gives {} scores a slide; make the model with --classes {}",
        manifest.path, classes, columns, classes));
  }
  return InvalidInput("the plan has no program \"infer\"");
}

}  // namespace wsi
