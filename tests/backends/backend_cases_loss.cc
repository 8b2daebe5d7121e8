#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

void AddClassification(std::vector<BackendCase>& cases, const std::string& name,
                       const Shape& scores, const Shape& positions) {
  const int64_t classes = scores[1];
  const Operand target = Index(positions, classes);
  const Operand weight{{classes}, Fill::kPositive};
  const Operand log_prob{scores, Fill::kNegative};
  const Bound bound = {.c = 8, .length = static_cast<double>(scores.ElementCount()), .floor = 1};
  for (const char* reduction : {"mean", "sum"}) {
    const Attributes plain = {{"reduction", std::string(reduction)}};
    const Attributes ignoring = With(plain, "ignore_index", int64_t{0});
    const std::string full = name + "_" + reduction;
    for (const bool ignore : {false, true}) {
      const Attributes& a = ignore ? ignoring : plain;
      const std::string suffix = full + (ignore ? "_ignore" : "");
      const Attributes shaped = WithShape(a, "input_shape", scores);
      for (const bool weighted : {false, true}) {
        const std::string last = suffix + (weighted ? "_weight" : "");
        const Operand w = weighted ? weight : Absent();
        cases.push_back({"SoftmaxCrossEntropyLoss", last, a, {{scores}, target, w}, {true}, bound});
        cases.push_back({"SoftmaxCrossEntropyLoss",
                         last + "_log_prob",
                         a,
                         {{scores}, target, w},
                         {true, true},
                         bound});
        cases.push_back({"SoftmaxCrossEntropyGrad",
                         last,
                         a,
                         {Number(1.5), log_prob, target, w},
                         {true},
                         bound});
        cases.push_back(
            {"NegativeLogLikelihoodLoss", last, a, {log_prob, target, w}, {true}, bound});
        cases.push_back(
            {"NegativeLogLikelihoodGrad", last, shaped, {Number(0.75), target, w}, {true}, bound});
      }
    }
  }
}

}  // namespace

void AddLossCases(std::vector<BackendCase>& cases) {
  AddClassification(cases, "rows", {3, 10}, {3});
  AddClassification(cases, "two_classes", {65, 2}, {65});
  AddClassification(cases, "map", {3, 5, 7, 3}, {3, 7, 3});
  for (const auto& shape : {Shape{1, 1}, Shape{3, 17}, Shape{1, 33, 31, 3}}) {
    const std::string name = "of_" + std::to_string(shape.ElementCount());
    const auto elements = static_cast<double>(shape.ElementCount());
    const Bound sums = {.c = 8, .length = elements, .floor = 1};
    const Bound few = {.c = 16, .floor = 1 / elements};
    const Operand truth{shape, Fill::kUnit};
    cases.push_back({"MeanSquaredError", name, {}, {{shape}, {shape}}, {true}, sums});
    cases.push_back({"SigmoidCrossEntropyLoss", name, {}, {{shape}, truth}, {true}, sums});
    cases.push_back(
        {"MeanSquaredErrorGrad", name, {}, {Number(1.5), {shape}, {shape}}, {true}, few});
    cases.push_back(
        {"SigmoidCrossEntropyGrad", name, {}, {Number(0.5), {shape}, truth}, {true}, few});
  }
}

}  // namespace wsi
