#include "tests/backends/gradient_cases.h"

namespace wsi {
namespace {

void AddUnary(std::vector<GradientCase>& cases) {
  const Shape shape{2, 3, 5};
  const auto add = [&](std::string op, Fill fill, Attributes attributes = {},
                       std::string name = "plain") {
    cases.push_back({std::move(op), std::move(name), std::move(attributes), {{shape, fill}}, {0}});
  };
  for (const char* op : {"Abs", "Relu", "LeakyRelu", "Elu"}) add(op, Fill::kOffZero);
  for (const char* op : {"Cos", "Cosh", "Erf", "Exp", "Gelu", "Identity", "Neg", "Sigmoid", "Sin",
                         "Sinh", "Softplus", "Tanh"}) {
    add(op, Fill::kSpread);
  }
  for (const char* op : {"Log", "Sqrt", "Reciprocal"}) add(op, Fill::kPositive);
  add("Reciprocal", Fill::kNegative, {}, "negative");
  add("LeakyRelu", Fill::kOffZero, {{"alpha", 0.3}}, "alpha");
  add("Elu", Fill::kOffZero, {{"alpha", 1.7}}, "alpha");
  add("HardSigmoid", Fill::kSpread, {{"alpha", 0.4}, {"beta", 0.6}}, "both_sides");
  add("HardSigmoid", Fill::kSpread);
  add("HardSwish", Fill::kSpread);
  add("Clip", Fill::kSpread, {{"min", -1.0}, {"max", 0.75}}, "both");
  add("Clip", Fill::kSpread, {{"min", -0.5}}, "min");
  add("Clip", Fill::kSpread, {{"max", 0.5}}, "max");
  add("Cast", Fill::kSpread, {{"to", std::string("f64")}});
  // Beyond 3 on either side, where the slope is constant.
  cases.push_back({"HardSwish", "saturated", {}, {{{30, 10}, Fill::kDistinct}}, {0}});
}

void AddBinary(std::vector<GradientCase>& cases) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    const Fill second = std::string(op) == "Div" ? Fill::kPositive : Fill::kSpread;
    cases.push_back({op, "same", {}, {{{2, 3, 4}}, {{2, 3, 4}, second}}, {0, 1}});
    cases.push_back({op, "right_row", {}, {{{2, 3, 4}}, {{4}, second}}, {0, 1}});
    cases.push_back({op, "left_column", {}, {{{3, 1}}, {{2, 3, 4}, second}}, {0, 1}});
    cases.push_back({op, "both", {}, {{{2, 1, 9}}, {{8, 1}, second}}, {0, 1}});
    cases.push_back({op, "scalar", {}, {{{2, 3, 4}}, Number(0.75)}, {0, 1}});
    cases.push_back({op, "ones", {}, {{{1, 16}}, {{1, 1, 16}, second}}, {0, 1}});
  }
  // Where operands are equal each gets half, which is what central differences see.
  const Operand ones{{2, 3}, Fill::kNumber, 1};
  cases.push_back({"Max", "ties", {}, {ones, ones}, {0, 1}});
  cases.push_back({"Min", "ties", {}, {ones, ones}, {0, 1}});
  for (const int64_t fmod : {0, 1}) {
    const std::string name = fmod == 1 ? "dividend" : "divisor";
    const Operand b{{4, 1}, Fill::kPositive};
    cases.push_back({"Mod", name, {{"fmod", fmod}}, {{{2, 4, 9}, Fill::kDistinct}, b}, {0, 1}});
  }
  const Operand base{{2, 3, 4}, Fill::kPositive};
  cases.push_back({"Pow", "same", {}, {base, {{2, 3, 4}}}, {0, 1}});
  cases.push_back({"Pow", "row", {}, {base, {{4}}}, {0, 1}});
  cases.push_back({"Pow", "left_row", {}, {{{4}, Fill::kPositive}, {{2, 3, 4}}}, {0, 1}});
  const Operand cube{Shape(), Fill::kNumber, 3};
  const Operand exponents = Index({4, 5}, 3, DType::kF32);
  cases.push_back({"Pow", "zeros", {}, {{{4, 5}, Fill::kTies}, exponents}, {0}});
  cases.push_back({"Pow", "cube_of_negative", {}, {{{2, 5}, Fill::kSpread}, cube}, {0}});
}

void AddWhere(std::vector<GradientCase>& cases) {
  cases.push_back({"Where", "same", {}, {Truth({2, 3, 4}), {{2, 3, 4}}, {{2, 3, 4}}}, {1, 2}});
  cases.push_back({"Where", "broadcast", {}, {Truth({16, 1}), {{2, 1, 4}}, {{4}}}, {1, 2}});
  cases.push_back({"Where", "wide_condition", {}, {Truth({5, 3, 4}), {{3, 4}}, {{}}}, {1, 2}});
}

}  // namespace

void AddPointwiseGradientCases(std::vector<GradientCase>& cases) {
  AddUnary(cases);
  AddBinary(cases);
  AddWhere(cases);
  const Attributes dropout = {{"ratio", 0.25}, {"seed_id", int64_t{7}}};
  const std::vector<Operand> inputs = {{{4, 9}}, Integer(11), Integer(3)};
  cases.push_back({"Dropout", "mask_on_request", dropout, inputs, {0}});
  cases.push_back({"Dropout", "mask", dropout, inputs, {0}, 2});
}

}  // namespace wsi
