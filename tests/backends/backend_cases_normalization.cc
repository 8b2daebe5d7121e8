#include <algorithm>
#include <array>

#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

const std::array<Shape, 6> kImages = {Shape{1, 9, 7, 16},   Shape{3, 5, 7, 17}, Shape{3, 4, 5, 1},
                                      Shape{1, 67, 33, 64}, Shape{3, 11, 3},    Shape{9, 17}};

std::string NameOf(const Shape& shape) {
  std::string name = "of";
  for (const int64_t size : shape) name += "_" + std::to_string(size);
  return name;
}

void AddBatchNorm(std::vector<BackendCase>& cases, const Shape& shape) {
  const Operand x{shape};
  const Operand c{{shape[-1]}};
  const Operand var{{shape[-1]}, Fill::kPositive};
  const std::string name = NameOf(shape);
  const Attributes plain = {{"epsilon", 1e-5}, {"channels_last", int64_t{1}}};
  const Attributes relu = With(plain, "relu", int64_t{1});
  const auto m = static_cast<double>(shape.ElementCount() / shape[-1]);
  const Bound sums = {.c = 8, .length = m, .floor = 1};
  const Bound few = {.c = 16, .floor = 1};
  cases.push_back(
      {"BatchNormStats", name, {{"channels_last", int64_t{1}}}, {x}, {true, true}, sums});
  const std::vector<Operand> apply = {x, c, c, c, var};
  std::vector<Operand> residual = apply;
  residual.push_back(x);
  cases.push_back({"BatchNormApply", name, plain, apply, {true}, few});
  cases.push_back({"BatchNormApply", name + "_relu", relu, apply, {true}, few});
  cases.push_back({"BatchNormApply", name + "_residual", plain, residual, {true}, few});
  cases.push_back({"BatchNormApply", name + "_relu_residual", relu, residual, {true}, few});
  const Operand y{shape, Fill::kTies};
  cases.push_back({"BatchNormGradStats", name, plain, {x, x, c, var}, {true, true}, sums});
  cases.push_back(
      {"BatchNormGradStats", name + "_dz", plain, {x, x, c, var}, {true, true, true}, sums});
  cases.push_back(
      {"BatchNormGradStats", name + "_relu", relu, {x, x, c, var, y}, {true, true}, sums});
  cases.push_back(
      {"BatchNormGradStats", name + "_relu_dz", relu, {x, x, c, var, y}, {true, true, true}, sums});
  // What the ReLU sees is exact, often 0 but for epsilon.
  const Operand ties{shape, Fill::kTies};
  const Operand whole{{shape[-1]}, Fill::kWhole};
  const Operand one{{shape[-1]}, Fill::kNumber, 1.0};
  cases.push_back({"BatchNormGradStats",
                   name + "_relu_from_x",
                   relu,
                   {x, ties, whole, one, Absent(), whole, whole},
                   {true, true, true},
                   sums});
  cases.push_back({"BatchNormGradStats",
                   name + "_sum",
                   plain,
                   {x, x, c, var, Absent(), Absent(), Absent(), x},
                   {true, true},
                   sums});
  cases.push_back({"BatchNormGradStats",
                   name + "_sum_relu_dz",
                   relu,
                   {x, x, c, var, y, Absent(), Absent(), x},
                   {true, true, true},
                   sums});
  cases.push_back({"BatchNormGradStats",
                   name + "_sum_relu_from_x_dz",
                   relu,
                   {x, ties, whole, one, Absent(), whole, whole, x},
                   {true, true, true},
                   sums});
  const std::vector<Operand> back = {x, x, c, c, var, c, c};
  std::vector<Operand> back_relu = back;
  back_relu.push_back(y);
  cases.push_back({"BatchNormGradApply", name, plain, back, {true}, few});
  cases.push_back({"BatchNormGradApply", name + "_relu", relu, back_relu, {true}, few});
  cases.push_back({"BatchNormGradApply",
                   name + "_relu_from_x",
                   relu,
                   {x, ties, whole, whole, one, c, c, Absent(), whole},
                   {true},
                   few});
  cases.push_back({"BatchNormGradFrozen", name, plain, {x, c, var}, {true}, few});
  cases.push_back({"BatchNormGradFrozen", name + "_relu", relu, {x, c, var, y}, {true}, few});
}

void AddGroupNorm(std::vector<BackendCase>& cases, const Shape& shape, int64_t groups) {
  const std::string name = NameOf(shape) + "_groups" + std::to_string(groups);
  const Operand x{shape};
  const Operand c{{shape[-1]}};
  const Operand means{{shape[0], groups}, Fill::kUnit};
  const Operand inverses{{shape[0], groups}, Fill::kPositive};
  const Attributes backward = {{"num_groups", groups}, {"channels_last", int64_t{1}}};
  const Attributes forward = With(backward, "epsilon", 1e-3);
  const Bound bound = {
      .c = 16, .length = static_cast<double>(shape.ElementCount() / shape[0] / groups), .floor = 1};
  cases.push_back({"GroupNormalization", name, forward, {x, c, c}, {true}, bound});
  cases.push_back(
      {"GroupNormalization", name + "_statistics", forward, {x, c, c}, {true, true, true}, bound});
  Bound sums = bound;
  sums.length = static_cast<double>(shape.ElementCount() / std::min(groups, shape[-1]));
  cases.push_back(
      {"GroupNormGrad", name, backward, {x, x, c, means, inverses}, {true, true, true}, sums});
}

void AddRowNorm(std::vector<BackendCase>& cases, const Shape& shape, int axis) {
  const std::string name = NameOf(shape) + "_axis" + std::to_string(axis);
  const Shape elements = Shape::Make(shape.sizes().subspan(static_cast<size_t>(axis))).value();
  std::vector<int64_t> ones(shape.begin(), shape.end());
  std::fill(ones.begin() + axis, ones.end(), 1);
  const Shape statistics = Shape::Make(ones).value();
  const Operand x{shape};
  const Operand e{elements};
  const Operand mean{statistics, Fill::kUnit};
  const Operand inverse{statistics, Fill::kPositive};
  const Attributes backward = {{"axis", int64_t{axis}}};
  const Attributes forward = With(backward, "epsilon", 1e-3);
  const Bound bound = {.c = 16, .length = static_cast<double>(elements.ElementCount()), .floor = 1};
  cases.push_back({"LayerNormalization", name, forward, {x, e}, {true}, bound});
  cases.push_back(
      {"LayerNormalization", name + "_all", forward, {x, e, e}, {true, true, true}, bound});
  cases.push_back({"RMSNormalization", name, forward, {x, e}, {true, true}, bound});
  Bound sums = bound;
  sums.length = static_cast<double>(shape.ElementCount());
  cases.push_back(
      {"LayerNormGrad", name, backward, {x, x, e, mean, inverse}, {true, true, true}, sums});
  cases.push_back({"RMSNormGrad", name, backward, {x, x, e, inverse}, {true, true}, sums});
}

}  // namespace

void AddNormalizationCases(std::vector<BackendCase>& cases) {
  for (const Shape& shape : kImages) AddBatchNorm(cases, shape);
  AddGroupNorm(cases, {3, 5, 7, 16}, 4);
  AddGroupNorm(cases, {1, 9, 5, 17}, 1);
  AddGroupNorm(cases, {3, 5, 4, 17}, 17);
  AddGroupNorm(cases, {1, 33, 17, 64}, 32);
  AddGroupNorm(cases, {3, 9, 3}, 3);
  AddRowNorm(cases, {2, 197, 192}, 2);
  AddRowNorm(cases, {3, 5, 17}, 1);
  AddRowNorm(cases, {7, 33}, 1);
  AddRowNorm(cases, {600, 300}, 1);
  AddRowNorm(cases, {4, 3}, 0);
  cases.push_back(
      {"MovingAverage", "channels", {{"momentum", 0.9}}, {{{17}}, {{17}}}, {true}, {.c = 4}});
  cases.push_back(
      {"MovingAverage", "one", {{"momentum", 0.75}}, {{{1}}, {{1}}}, {true}, {.c = 4, .floor = 1}});
}

}  // namespace wsi
