#include <array>

#include "tests/backends/backend_cases.h"

namespace wsi {
namespace {

const std::array<Shape, 4> kShapes = {Shape{}, Shape{1, 7}, Shape{3, 5, 7, 17},
                                      Shape{1, 33, 31, 64}};

std::string ShapeName(const Shape& shape) {
  std::string name = "of";
  for (const int64_t size : shape) name += "_" + std::to_string(size);
  return shape.rank() == 0 ? "of_scalar" : name;
}

// Relative to each element, with a floor for results near zero of functions of order 1.
constexpr Bound kExact = {.c = 1, .per_element = true};
constexpr Bound kFew = {.c = 8, .per_element = true, .floor = 0.1};

void AddUnary(std::vector<BackendCase>& cases) {
  const auto add = [&](const std::string& op, Fill fill, Bound bound, Attributes attributes = {},
                       const std::string& suffix = "") {
    for (const Shape& shape : kShapes) {
      cases.push_back({op, ShapeName(shape) + suffix, attributes, {{shape, fill}}, {true}, bound});
    }
  };
  for (const char* op : {"Abs", "Neg", "Relu", "Sign", "Identity", "Floor", "Ceil", "Round"}) {
    add(op, Fill::kSpread, kExact);
    add(op, Fill::kTies, kExact, {}, "_ties");
  }
  for (const char* op :
       {"Sigmoid", "Tanh", "Erf", "Gelu", "Sin", "Cos", "Softplus", "HardSigmoid", "HardSwish"}) {
    add(op, Fill::kSpread, kFew);
    add(op, Fill::kDistinct, kFew, {}, "_wide");
  }
  for (const char* op : {"Exp", "Sinh", "Cosh"}) add(op, Fill::kSpread, kFew);
  for (const char* op : {"Log", "Sqrt", "Reciprocal"}) add(op, Fill::kPositive, kFew);
  add("HardSigmoid", Fill::kSpread, kFew, {{"alpha", 0.5}, {"beta", 0.25}}, "_alpha_beta");
  add("LeakyRelu", Fill::kSpread, kFew);
  add("LeakyRelu", Fill::kSpread, kFew, {{"alpha", 0.25}}, "_alpha");
  add("Elu", Fill::kSpread, kFew);
  add("Elu", Fill::kSpread, kFew, {{"alpha", 1.5}}, "_alpha");
  add("Clip", Fill::kSpread, kExact, {{"min", -0.5}, {"max", 1.0}}, "_both");
  add("Clip", Fill::kTies, kExact, {{"min", 0.0}, {"max", 1.0}}, "_ties");
  add("Clip", Fill::kSpread, kExact, {{"min", 0.25}}, "_min");
}

void AddGradients(std::vector<BackendCase>& cases) {
  // Of what cancels in GeluGrad.
  constexpr Bound kCancels = {.c = 8, .per_element = true, .floor = 0.25};
  const auto add = [&](const std::string& op, Fill fill, Attributes attributes = {},
                       const std::string& suffix = "") {
    for (const Shape& shape : kShapes) {
      cases.push_back({op,
                       ShapeName(shape) + suffix,
                       attributes,
                       {{shape}, {shape, fill}},
                       {true},
                       op == "GeluGrad" ? kCancels : kFew});
    }
  };
  add("ReluGrad", Fill::kSpread);
  add("ReluGrad", Fill::kTies, {}, "_ties");
  add("ClipGrad", Fill::kSpread, {{"min", -0.5}, {"max", 1.0}});
  add("ClipGrad", Fill::kTies, {{"min", 0.0}, {"max", 1.0}}, "_at_limits");
  add("SigmoidGrad", Fill::kUnit);
  add("TanhGrad", Fill::kUnit);
  add("ErfGrad", Fill::kSpread);
  add("GeluGrad", Fill::kSpread);
  add("GeluGrad", Fill::kDistinct, {}, "_wide");
  add("HardSigmoidGrad", Fill::kSpread, {{"alpha", 0.5}, {"beta", 0.25}});
  add("HardSwishGrad", Fill::kDistinct);
  add("LeakyReluGrad", Fill::kTies, {{"alpha", 0.25}});
  add("EluGrad", Fill::kUnit, {{"alpha", 1.5}});
  add("EluGrad", Fill::kNegative, {{"alpha", 4.0}}, "_negative");
  add("EluGrad", Fill::kTies, {{"alpha", 1.5}}, "_ties");
}

struct Pair {
  const char* name;
  Shape a;
  Shape b;
};

// Every way in which two operands can stretch.
const std::array<Pair, 8> kPairs = {{{"same", {3, 5, 7, 17}, {3, 5, 7, 17}},
                                     {"channel", {3, 5, 7, 17}, {17}},
                                     {"channel_left", {64}, {1, 9, 3, 64}},
                                     {"image", {2, 5, 7, 3}, {2, 1, 1, 3}},
                                     {"outer", {4, 1}, {1, 5}},
                                     {"middle", {2, 1, 3, 1}, {5, 1, 4}},
                                     {"scalar", {33, 65}, {}},
                                     {"scalars", {}, {}}}};

void AddBinary(std::vector<BackendCase>& cases) {
  for (const Pair& pair : kPairs) {
    for (const char* op : {"Add", "Sub", "Mul", "Max", "Min"}) {
      cases.push_back({op, pair.name, {}, {{pair.a}, {pair.b}}, {true}, kExact});
    }
    cases.push_back({"Max",
                     pair.name + std::string("_ties"),
                     {},
                     {{pair.a, Fill::kTies}, {pair.b, Fill::kTies}},
                     {true},
                     kExact});
    cases.push_back({"Div", pair.name, {}, {{pair.a}, {pair.b, Fill::kOffZero}}, {true}, kFew});
    cases.push_back({"Pow", pair.name, {}, {{pair.a, Fill::kPositive}, {pair.b}}, {true}, kFew});
    for (const char* op : {"Equal", "Less", "Greater"}) {
      cases.push_back(
          {op, pair.name, {}, {{pair.a, Fill::kTies}, {pair.b, Fill::kTies}}, {true}, kExact});
      cases.push_back({op,
                       pair.name + std::string("_integers"),
                       {},
                       {Index(pair.a, 3), Index(pair.b, 3)},
                       {true},
                       kExact});
    }
    for (const char* op : {"And", "Or"}) {
      cases.push_back({op, pair.name, {}, {Truth(pair.a), Truth(pair.b)}, {true}, kExact});
    }
    cases.push_back({"Where", pair.name, {}, {Truth(pair.a), {pair.b}, {pair.a}}, {true}, kExact});
  }
  // Multiples of 1/16 have exact rests.
  for (const int64_t fmod : {0, 1}) {
    const std::string name = fmod == 1 ? "dividend" : "divisor";
    const Attributes attributes = {{"fmod", fmod}};
    const Operand b{{4, 1}, Fill::kDistinct};
    cases.push_back({"Mod", name, attributes, {{{3, 4, 17}, Fill::kDistinct}, b}, {true}, kExact});
    cases.push_back({"Mod",
                     name + "_integers",
                     attributes,
                     {Index({3, 4, 17}, 100), Index({17}, 9)},
                     {true},
                     kExact});
  }
  const Operand two{Shape(), Fill::kNumber, 2};
  cases.push_back({"Pow", "square_of_negative", {}, {{{3, 17}}, two}, {true}, kFew});
  cases.push_back({"Where", "three_ways", {}, {Truth({3, 1}), {{2, 1, 5}}, {{5}}}, {true}, kExact});
  for (const Shape& shape : kShapes) {
    cases.push_back({"Not", ShapeName(shape), {}, {Truth(shape)}, {true}, kExact});
  }
}

void AddConversions(std::vector<BackendCase>& cases) {
  const Shape shape{3, 5, 17};
  const std::string to_float = "float";
  const auto cast = [&](std::string name, std::string to, Operand x) {
    cases.push_back(
        {"Cast", std::move(name), {{"to", std::move(to)}}, {std::move(x)}, {true}, kExact});
  };
  cast("float_to_i64", "i64", {shape, Fill::kDistinct});
  cast("float_to_bool", "bool", {shape, Fill::kTies});
  cast("i64_to_float", to_float, Index(shape, 1000));
  cast("i32_to_float", to_float, Index(shape, 1000, DType::kI32));
  cast("u8_to_float", to_float, Index(shape, 256, DType::kU8));
  cast("bool_to_float", to_float, Truth(shape));
  cast("same", to_float, {shape});
  const auto fill = [&](std::string name, std::vector<int64_t> sizes, double value) {
    cases.push_back({"Fill",
                     std::move(name),
                     {{"shape", std::move(sizes)}, {"value", value}, {"dtype", to_float}},
                     {},
                     {true},
                     kExact});
  };
  fill("scalar", {}, 1);
  fill("tensor", {3, 5, 17}, -0.25);
}

}  // namespace

void AddPointwiseCases(std::vector<BackendCase>& cases) {
  AddUnary(cases);
  AddGradients(cases);
  AddBinary(cases);
  AddConversions(cases);
}

}  // namespace wsi
