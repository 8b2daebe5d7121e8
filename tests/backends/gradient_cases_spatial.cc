#include "tests/backends/gradient_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

void AddConv(std::vector<GradientCase>& cases) {
  const auto add = [&](std::string name, Attributes window, int64_t group,
                       std::vector<Operand> inputs) {
    std::vector<int> wrt = {0, 1};
    if (inputs.size() == 3) wrt.push_back(2);
    cases.push_back({"Conv", std::move(name), With(std::move(window), "group", group),
                     std::move(inputs), std::move(wrt)});
  };
  const Attributes same = WindowAttributes({3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1});
  add("same", same, 1, {{{2, 5, 4, 3}}, {{4, 3, 3, 3}}});
  add("bias", same, 1, {{{2, 5, 4, 3}}, {{4, 3, 3, 3}}, {{4}}});
  add("strided_uneven", WindowAttributes({3, 2}, {2, 3}, {1, 1}, {0, 1, 2, 0}), 1,
      {{{1, 7, 8, 2}}, {{3, 3, 2, 2}}});
  add("dilated", WindowAttributes({2, 3}, {1, 2}, {3, 2}, {1, 2, 0, 1}), 1,
      {{{2, 6, 7, 2}}, {{3, 2, 3, 2}}});
  add("grouped", same, 2, {{{1, 4, 4, 4}}, {{6, 3, 3, 2}}, {{6}}});
  add("depthwise", same, 3, {{{2, 4, 4, 3}}, {{3, 3, 3, 1}}});
  add("one_axis", WindowAttributes({3}, {2}, {1}, {1, 0}), 1, {{{2, 7, 3}}, {{2, 3, 3}}});
  add("three_axes", WindowAttributes({2, 1, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 2, 0, 0, 1}), 1,
      {{{1, 3, 3, 5, 2}}, {{2, 2, 1, 3, 2}}});
}

void AddConvTranspose(std::vector<GradientCase>& cases) {
  const auto add = [&](std::string name, Attributes window, int64_t group, Shape x, Shape w) {
    cases.push_back({"ConvTranspose",
                     std::move(name),
                     With(std::move(window), "group", group),
                     {{std::move(x)}, {std::move(w)}},
                     {0, 1}});
  };
  add("doubling", WindowAttributes({2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}), 1, {2, 3, 4, 3},
      {3, 2, 2, 4});
  add("uneven", WindowAttributes({3, 2}, {2, 3}, {1, 1}, {1, 0, 0, 1}), 1, {1, 4, 3, 2},
      {2, 3, 2, 3});
  add("dilated", WindowAttributes({2, 3}, {1, 2}, {3, 2}, {1, 2, 0, 1}), 1, {2, 4, 3, 2},
      {2, 2, 3, 3});
  add("grouped", WindowAttributes({3, 3}, {2, 2}, {1, 1}, {1, 1, 0, 0}), 2, {1, 3, 3, 4},
      {4, 3, 3, 3});
  add("depthwise", WindowAttributes({3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}), 3, {1, 3, 4, 3},
      {3, 3, 3, 1});
  add("one_axis", WindowAttributes({4}, {2}, {1}, {1, 1}), 1, {2, 5, 3}, {3, 4, 2});
}

void AddRowNorms(std::vector<GradientCase>& cases) {
  const Shape shape{2, 3, 4, 5};
  for (const int axis : {1, 3}) {
    const Shape elements = axis == 3 ? Shape{5} : Shape{3, 4, 5};
    const Attributes attributes = {{"axis", int64_t{axis}}, {"epsilon", 1e-3}};
    const Operand scale{elements, Fill::kOffZero};
    const std::string name = "axis" + std::to_string(axis);
    cases.push_back({"LayerNormalization", name, attributes, {{shape}, scale}, {0, 1}});
    cases.push_back({"LayerNormalization",
                     name + "_bias",
                     attributes,
                     {{shape}, scale, {elements}},
                     {0, 1, 2},
                     3});
    cases.push_back({"RMSNormalization", name, attributes, {{shape}, scale}, {0, 1}});
  }
}

void AddPools(std::vector<GradientCase>& cases) {
  const Operand x{{2, 6, 5, 3}, Fill::kDistinct};
  const Attributes overlap = WindowAttributes({3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1});
  const Attributes plain = WindowAttributes({2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0});
  const Attributes uneven = WindowAttributes({3, 2}, {2, 1}, {1, 2}, {0, 1, 1, 0});
  for (const char* op : {"MaxPool", "AveragePool"}) {
    cases.push_back({op, "overlap", overlap, {x}, {0}});
    cases.push_back({op, "plain", plain, {x}, {0}});
    cases.push_back({op, "uneven_dilated", uneven, {x}, {0}});
    cases.push_back({op, "ceil", With(plain, "ceil_mode", int64_t{1}), {x}, {0}});
    cases.push_back({op,
                     "one_axis",
                     WindowAttributes({3}, {2}, {1}, {1, 1}),
                     {{{2, 7, 2}, Fill::kDistinct}},
                     {0}});
  }
  cases.push_back({"MaxPool", "index", overlap, {x}, {0}, 2});
  cases.push_back(
      {"AveragePool", "include_pad", With(overlap, "count_include_pad", int64_t{1}), {x}, {0}});
  cases.push_back({"AveragePool",
                   "include_pad_ceil",
                   With(With(overlap, "count_include_pad", int64_t{1}), "ceil_mode", int64_t{1}),
                   {x},
                   {0}});
  const Attributes last = {{"channels_last", int64_t{1}}};
  cases.push_back({"GlobalAveragePool", "image", last, {x}, {0}});
  cases.push_back({"GlobalAveragePool", "volume", last, {{{1, 2, 3, 2, 2}}}, {0}});
  cases.push_back({"GlobalMaxPool", "image", last, {x}, {0}});
  cases.push_back({"GlobalMaxPool", "index", last, {x}, {0}, 2});
}

void AddGridSample(std::vector<GradientCase>& cases) {
  const Operand image{{2, 3, 4, 5}};
  const Operand at{{2, 3, 2, 2}, Fill::kDistinct};  // Not where an interpolation has a kink.
  for (const char* padding : {"zeros", "border", "reflection"}) {
    for (const int64_t align : {0, 1}) {
      const Attributes attributes = {{"padding_mode", std::string(padding)},
                                     {"align_corners", align}};
      const std::string name = std::string(padding) + (align == 1 ? "_align" : "");
      const auto with = [&](const char* mode) {
        return With(attributes, "mode", std::string(mode));
      };
      cases.push_back({"GridSample", name + "_linear", with("linear"), {image, at}, {0, 1}});
      cases.push_back({"GridSample", name + "_cubic", with("cubic"), {image, at}, {0, 1}});
      cases.push_back({"GridSample", name + "_nearest", with("nearest"), {image, at}, {0}});
      cases.push_back({"GridSample",
                       name + "_volume",
                       with("linear"),
                       {{{1, 2, 3, 4, 2}}, {{1, 2, 2, 3, 3}, Fill::kDistinct}},
                       {0, 1}});
    }
  }
}

void AddNorms(std::vector<GradientCase>& cases) {
  const Operand x{{2, 3, 3, 4}};
  const Operand scale{{4}, Fill::kOffZero};
  const Operand shift{{4}};
  const Operand var{{4}, Fill::kPositive};
  const Attributes norm = {{"epsilon", 1e-3}, {"channels_last", int64_t{1}}};
  const Attributes relu = With(norm, "relu", int64_t{1});
  cases.push_back({"BatchNormTrain", "image", norm, {x, scale, shift}, {0, 1, 2}, 3});
  cases.push_back({"BatchNormTrain", "rows", norm, {{{7, 4}}, scale, shift}, {0, 1, 2}, 3});
  const Operand near{{4}, Fill::kUnit};  // So that no channel is off altogether.
  const std::vector<Operand> frozen = {x, scale, near, near, var};
  std::vector<Operand> residual = frozen;
  residual.push_back(x);
  cases.push_back({"BatchNormApply", "frozen", norm, frozen, {0}});
  cases.push_back({"BatchNormApply", "affine", norm, frozen, {0, 1, 2}});
  cases.push_back({"BatchNormApply", "relu", relu, frozen, {0, 1, 2}});
  cases.push_back({"BatchNormApply", "residual", norm, residual, {0, 1, 2, 5}});
  cases.push_back({"BatchNormApply", "relu_residual", relu, residual, {0, 1, 2, 5}});
  const std::vector<Operand> grouped = {{{2, 3, 3, 6}}, {{6}, Fill::kOffZero}, {{6}}};
  for (const int64_t groups : {1, 2, 6}) {
    cases.push_back({"GroupNormalization",
                     "groups" + std::to_string(groups),
                     With(norm, "num_groups", groups),
                     grouped,
                     {0, 1, 2}});
  }
  cases.push_back({"GroupNormalization",
                   "statistics",
                   With(norm, "num_groups", int64_t{3}),
                   grouped,
                   {0, 1, 2},
                   3});
}

}  // namespace

void AddSpatialGradientCases(std::vector<GradientCase>& cases) {
  AddConv(cases);
  AddConvTranspose(cases);
  AddPools(cases);
  AddGridSample(cases);
  AddRowNorms(cases);
  AddNorms(cases);
}

}  // namespace wsi
