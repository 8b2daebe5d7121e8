#include "tests/backends/gradient_cases.h"

namespace wsi {
namespace {

void AddClassification(std::vector<GradientCase>& cases, const std::string& op) {
  const Operand scores{{4, 5}};
  const Operand map{{2, 5, 3, 2}};
  const Operand target = Index({4}, 5);
  const Operand map_target = Index({2, 3, 2}, 5);
  const Operand weight{{5}, Fill::kPositive};
  for (const char* reduction : {"mean", "sum"}) {
    const Attributes plain = {{"reduction", std::string(reduction)}};
    const Attributes ignoring = {{"reduction", std::string(reduction)},
                                 {"ignore_index", int64_t{2}}};
    const std::string name = reduction;
    cases.push_back({op, name, plain, {scores, target}, {0}});
    cases.push_back({op, name + "_map", plain, {map, map_target}, {0}});
    cases.push_back({op, name + "_weight", plain, {map, map_target, weight}, {0}});
    cases.push_back({op, name + "_ignore", ignoring, {map, map_target, weight}, {0}});
  }
}

}  // namespace

void AddLossGradientCases(std::vector<GradientCase>& cases) {
  AddClassification(cases, "SoftmaxCrossEntropyLoss");
  AddClassification(cases, "NegativeLogLikelihoodLoss");
  cases.push_back(
      {"SoftmaxCrossEntropyLoss", "log_prob_asked", {}, {{{4, 5}}, Index({4}, 5)}, {0}, 2});
  cases.push_back({"MeanSquaredError", "both", {}, {{{3, 4}}, {{3, 4}}}, {0, 1}});
  cases.push_back({"SigmoidCrossEntropyLoss", "soft", {}, {{{3, 4}}, {{3, 4}, Fill::kUnit}}, {0}});
}

}  // namespace wsi
