#include "tests/backends/backend_cases.h"

namespace wsi {
namespace {

Shape Maybe(int64_t transpose, int64_t rows, int64_t columns) {
  return transpose == 1 ? Shape{columns, rows} : Shape{rows, columns};
}

void AddProducts(std::vector<BackendCase>& cases, int64_t m, int64_t n, int64_t k) {
  const std::string size = std::to_string(m) + "_" + std::to_string(n) + "_" + std::to_string(k);
  const Bound bound = {.c = 4, .length = static_cast<double>(k), .floor = 1};
  for (const int64_t a : {0, 1}) {
    for (const int64_t b : {0, 1}) {
      const std::string name = size + (a == 1 ? "_t" : "_n") + (b == 1 ? "t" : "n");
      const Attributes transposes = {{"transA", a}, {"transB", b}};
      Attributes scaled = transposes;
      scaled.Set("alpha", 0.5);
      scaled.Set("beta", 2.0);
      const Operand left{Maybe(a, m, k)};
      const Operand right{Maybe(b, k, n)};
      cases.push_back({"MatMul", name, transposes, {left, right}, {true}, bound});
      cases.push_back({"Gemm", name, transposes, {left, right}, {true}, bound});
      cases.push_back({"Gemm", name + "_row", scaled, {left, right, {{n}}}, {true}, bound});
      cases.push_back({"Gemm", name + "_full", scaled, {left, right, {{m, n}}}, {true}, bound});
      cases.push_back({"Gemm", name + "_column", scaled, {left, right, {{m, 1}}}, {true}, bound});
      cases.push_back({"Gemm", name + "_scalar", scaled, {left, right, {{}}}, {true}, bound});
    }
  }
}

}  // namespace

void AddLinearCases(std::vector<BackendCase>& cases) {
  AddProducts(cases, 1, 1, 1);
  AddProducts(cases, 1, 10, 512);
  AddProducts(cases, 3, 17, 64);
  AddProducts(cases, 33, 65, 129);
  const Bound bound = {.c = 4, .length = 17, .floor = 1};
  const auto add = [&](const char* name, Shape a, Shape b, Attributes attributes = {}) {
    cases.push_back(
        {"MatMul", name, std::move(attributes), {{std::move(a)}, {std::move(b)}}, {true}, bound});
  };
  add("batch", {3, 5, 17}, {3, 17, 4});
  add("shared_right", {3, 5, 17}, {17, 4});
  add("shared_left", {5, 17}, {3, 17, 4});
  add("broadcast", {2, 1, 5, 17}, {3, 17, 4});
  add("batch_tn", {3, 17, 5}, {3, 17, 4}, {{"transA", int64_t{1}}});
  add("batch_nt", {2, 1, 5, 17}, {3, 4, 17}, {{"transB", int64_t{1}}});
  add("row_vector", {17}, {3, 17, 4});
  add("column_vector", {3, 5, 17}, {17});
  add("dot", {17}, {17});
}

}  // namespace wsi
