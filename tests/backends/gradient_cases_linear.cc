#include "tests/backends/gradient_cases.h"

namespace wsi {
namespace {

Shape Maybe(bool transpose, int64_t rows, int64_t columns) {
  return transpose ? Shape{columns, rows} : Shape{rows, columns};
}

std::string Name(int64_t a, int64_t b) {
  return std::string(a == 1 ? "t" : "n") + (b == 1 ? "t" : "n");
}

void AddGemm(std::vector<GradientCase>& cases) {
  for (const int64_t a : {0, 1}) {
    for (const int64_t b : {0, 1}) {
      const Attributes attributes = {{"transA", a}, {"transB", b}, {"alpha", 0.5}, {"beta", 1.5}};
      const Operand left{Maybe(a == 1, 3, 4)};
      const Operand right{Maybe(b == 1, 4, 5)};
      cases.push_back({"Gemm", Name(a, b), attributes, {left, right}, {0, 1}});
      cases.push_back({"Gemm", Name(a, b) + "_bias", attributes, {left, right, {{5}}}, {0, 1, 2}});
    }
  }
  const std::vector<Operand> product = {{{3, 4}}, {{4, 5}}};
  const auto with = [&](Shape c) {
    std::vector<Operand> inputs = product;
    inputs.push_back({std::move(c)});
    return inputs;
  };
  cases.push_back({"Gemm", "full_bias", {}, with({3, 5}), {0, 1, 2}});
  cases.push_back({"Gemm", "column_bias", {{"beta", 2.0}}, with({3, 1}), {0, 1, 2}});
  cases.push_back({"Gemm", "scalar_bias", {}, with({}), {0, 1, 2}});
}

void AddMatMul(std::vector<GradientCase>& cases) {
  for (const int64_t a : {0, 1}) {
    for (const int64_t b : {0, 1}) {
      const Attributes attributes = {{"transA", a}, {"transB", b}};
      const Shape left = Maybe(a == 1, 3, 4);
      const Shape right = Maybe(b == 1, 4, 5);
      const Shape batch_left{2, left[0], left[1]};
      const Shape batch_right{2, right[0], right[1]};
      const std::string name = Name(a, b);
      cases.push_back({"MatMul", name, attributes, {{left}, {right}}, {0, 1}});
      cases.push_back(
          {"MatMul", name + "_batch", attributes, {{batch_left}, {batch_right}}, {0, 1}});
      cases.push_back({"MatMul", name + "_shared", attributes, {{batch_left}, {right}}, {0, 1}});
      cases.push_back(
          {"MatMul", name + "_shared_left", attributes, {{left}, {batch_right}}, {0, 1}});
    }
  }
  cases.push_back({"MatMul", "broadcast", {}, {{{2, 1, 3, 4}}, {{5, 4, 2}}}, {0, 1}});
  cases.push_back({"MatMul", "row_vector", {}, {{{4}}, {{2, 4, 3}}}, {0, 1}});
  cases.push_back({"MatMul", "column_vector", {}, {{{2, 3, 4}}, {{4}}}, {0, 1}});
  cases.push_back({"MatMul", "dot", {}, {{{4}}, {{4}}}, {0, 1}});
}

}  // namespace

void AddLinearGradientCases(std::vector<GradientCase>& cases) {
  AddGemm(cases);
  AddMatMul(cases);
}

}  // namespace wsi
