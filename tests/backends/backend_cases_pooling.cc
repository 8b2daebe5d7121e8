#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

struct PoolCase {
  std::string name;
  Shape x;
  Shape y;
  Ints kernel, strides, dilations, pads;
  bool ceil_mode = false;
};

void AddPool(std::vector<BackendCase>& cases, const PoolCase& p) {
  const Attributes window = With(WindowAttributes(p.kernel, p.strides, p.dilations, p.pads),
                                 "ceil_mode", int64_t{p.ceil_mode ? 1 : 0});
  const Attributes backward = WithShape(window, "input_shape", p.x);
  double taps = 1;
  for (const int64_t size : p.kernel) taps *= static_cast<double>(size);
  const Bound sums = {.c = 4, .length = taps, .floor = 0.1};
  cases.push_back({"MaxPool", p.name, window, {{p.x}}, {true}, {.c = 0}});
  cases.push_back({"MaxPool", p.name + "_index", window, {{p.x}}, {true, true}, {.c = 0}});
  cases.push_back(
      {"MaxPool", p.name + "_ties", window, {{p.x, Fill::kTies}}, {true, true}, {.c = 0}});
  cases.push_back(
      {"MaxPoolGrad", p.name, backward, {{p.y}, {p.y, Fill::kWindowIndex}}, {true}, sums});
  for (const int64_t include : {0, 1}) {
    const std::string name = p.name + (include == 1 ? "_include_pad" : "");
    cases.push_back(
        {"AveragePool", name, With(window, "count_include_pad", include), {{p.x}}, {true}, sums});
    cases.push_back({"AveragePoolGrad",
                     name,
                     With(backward, "count_include_pad", include),
                     {{p.y}},
                     {true},
                     sums});
  }
}

void AddGlobal(std::vector<BackendCase>& cases, const std::string& name, const Shape& x) {
  Ints sizes(static_cast<size_t>(x.rank()), 1);
  sizes.front() = x[0];
  sizes.back() = x[-1];
  const Shape y = Shape::Make(sizes).value();
  const int64_t positions = x.ElementCount() / y.ElementCount();
  const Attributes forward = {{"channels_last", int64_t{1}}};
  const Attributes backward = WithShape(forward, "input_shape", x);
  cases.push_back({"GlobalAveragePool",
                   name,
                   forward,
                   {{x}},
                   {true},
                   {.c = 4, .length = static_cast<double>(positions), .floor = 0.1}});
  cases.push_back({"GlobalAveragePoolGrad", name, backward, {{y}}, {true}, {.c = 2}});
  cases.push_back({"GlobalMaxPool", name, forward, {{x}}, {true}, {.c = 0}});
  cases.push_back(
      {"GlobalMaxPool", name + "_ties", forward, {{x, Fill::kTies}}, {true, true}, {.c = 0}});
  cases.push_back(
      {"GlobalMaxPoolGrad", name, backward, {{y}, Index(y, positions)}, {true}, {.c = 0}});
}

}  // namespace

void AddPoolingCases(std::vector<BackendCase>& cases) {
  const Ints one = {1, 1};
  const Ints none = {0, 0, 0, 0};
  const PoolCase pools[] = {
      {"resnet", {1, 17, 15, 64}, {1, 9, 8, 64}, {3, 3}, {2, 2}, one, {1, 1, 1, 1}},
      {"halves", {3, 8, 6, 16}, {3, 4, 3, 16}, {2, 2}, {2, 2}, one, none},
      {"halves_odd", {3, 9, 7, 17}, {3, 4, 3, 17}, {2, 2}, {2, 2}, one, none},
      {"ceil", {3, 9, 7, 17}, {3, 5, 4, 17}, {2, 2}, {2, 2}, one, none, true},
      {"ceil_padded", {1, 10, 8, 3}, {1, 6, 5, 3}, {3, 3}, {2, 2}, one, {1, 1, 1, 1}, true},
      {"ceil_not_beyond", {1, 3, 3, 1}, {1, 1, 1, 1}, {1, 1}, {4, 4}, one, none, true},
      {"uneven", {3, 9, 8, 3}, {3, 4, 8, 3}, {3, 2}, {2, 1}, one, {0, 1, 1, 0}},
      {"dilated", {1, 11, 9, 17}, {1, 7, 5, 17}, {3, 3}, one, {2, 2}, none},
      {"same", {3, 7, 5, 1}, {3, 7, 5, 1}, {3, 3}, one, one, {1, 1, 1, 1}},
      {"wide_window", {1, 40, 20, 3}, {1, 3, 2, 3}, {17, 17}, {12, 4}, one, {1, 1, 1, 1}},
      {"squares", {2, 37, 21, 8}, {2, 18, 10, 8}, {4, 3}, {2, 2}, one, {1, 0, 1, 1}},
      {"threes", {1, 19, 69, 64}, {1, 10, 35, 64}, {3, 3}, {2, 2}, one, {1, 1, 1, 1}},
      {"halves_tall", {1, 38, 3, 16}, {1, 19, 1, 16}, {2, 2}, {2, 2}, one, none},
      {"one_axis", {3, 9, 3}, {3, 5, 3}, {3}, {2}, {1}, {1, 1}},
      {"three_axes",
       {1, 5, 4, 6, 3},
       {1, 3, 3, 3, 3},
       {3, 2, 2},
       {2, 1, 2},
       {1, 1, 1},
       {1, 0, 0, 1, 0, 0}}};
  for (const PoolCase& pool : pools) AddPool(cases, pool);
  AddGlobal(cases, "image", {3, 7, 5, 17});
  AddGlobal(cases, "large", {1, 65, 33, 64});
  AddGlobal(cases, "one_channel", {3, 9, 9, 1});
  AddGlobal(cases, "one_position", {3, 1, 1, 16});
  AddGlobal(cases, "volume", {1, 3, 4, 5, 3});
}

}  // namespace wsi
