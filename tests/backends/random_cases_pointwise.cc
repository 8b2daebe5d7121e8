#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

Attributes Alpha(Dice& dice) { return {{"alpha", static_cast<double>(dice.Between(1, 12)) / 8}}; }

RandomCase Unary(Dice& dice, Fill fill, Slope slope, Attributes attributes = {}) {
  return {{{}, {}, std::move(attributes), {{dice.AnyShape(0, 4), fill}}, {0}}, slope};
}

// Odd multiples of 1/32: a kink at a multiple of 1/16 is 1/32 away at least.
RandomCase OffKinks(std::string_view op, Dice& dice) {
  Attributes attributes;
  if (op == "LeakyRelu") attributes = Alpha(dice);
  if (op == "HardSigmoid") {
    attributes = {{"alpha", dice.Pick({0.25, 0.5})}, {"beta", dice.Pick({0.25, 0.5, 0.0})}};
  }
  if (op == "Clip" && !dice.OneIn(4)) {
    attributes.Set("min", static_cast<double>(dice.Between(-16, 0)) / 16);
  }
  if (op == "Clip" && !dice.OneIn(4)) {
    attributes.Set("max", static_cast<double>(dice.Between(1, 16)) / 16);
  }
  return Unary(dice, Fill::kDistinct, Slope::kExact, std::move(attributes));
}

RandomCase SmoothOffKinks(std::string_view op, Dice& dice) {
  return Unary(dice, Fill::kDistinct, Slope::kSmooth, op == "Elu" ? Alpha(dice) : Attributes());
}

RandomCase Smooth(std::string_view /*op*/, Dice& dice) {
  return Unary(dice, Fill::kSpread, Slope::kSmooth);
}

RandomCase Positive(std::string_view /*op*/, Dice& dice) {
  return Unary(dice, Fill::kPositive, Slope::kSmooth);
}

RandomCase Exact(std::string_view op, Dice& dice) {
  Attributes attributes;
  if (op == "Cast") attributes.Set("to", std::string("f64"));
  return Unary(dice, Fill::kWhole, Slope::kExact, std::move(attributes));
}

// Operands of one shape, of shapes that broadcast to it, or both of them stretched.
std::pair<Shape, Shape> Pair(Dice& dice) {
  const Shape shape = dice.AnyShape(0, 4);
  if (dice.OneIn(4)) return {shape, shape};
  if (dice.OneIn(3)) return {dice.Broadcasting(shape), dice.Broadcasting(shape)};
  return dice.Coin() ? std::pair(shape, dice.Broadcasting(shape))
                     : std::pair(dice.Broadcasting(shape), shape);
}

RandomCase Binary(Dice& dice, Fill left, Fill right, Slope slope, Attributes attributes = {}) {
  const auto [a, b] = Pair(dice);
  return {{{}, {}, std::move(attributes), {{a, left}, {b, right}}, {0, 1}}, slope};
}

RandomCase Arithmetic(std::string_view /*op*/, Dice& dice) {
  return Binary(dice, Fill::kWhole, Fill::kWhole, Slope::kExact);
}

// Integers against odd multiples of 1/32: never equal.
RandomCase Extreme(std::string_view /*op*/, Dice& dice) {
  return dice.Coin() ? Binary(dice, Fill::kWhole, Fill::kDistinct, Slope::kExact)
                     : Binary(dice, Fill::kDistinct, Fill::kWhole, Slope::kExact);
}

// Quotients of at most 4 that are 1/32 / 3 from integers.
RandomCase Modulo(std::string_view /*op*/, Dice& dice) {
  return Binary(dice, Fill::kDistinct, Fill::kWhole, Slope::kExact, {{"fmod", dice.Flag()}});
}

RandomCase Quotient(std::string_view /*op*/, Dice& dice) {
  return Binary(dice, Fill::kSpread, Fill::kPositive, Slope::kSmooth);
}

RandomCase Power(std::string_view /*op*/, Dice& dice) {
  return Binary(dice, Fill::kPositive, Fill::kSpread, Slope::kSmooth);
}

RandomCase Choice(std::string_view /*op*/, Dice& dice) {
  const Shape shape = dice.AnyShape(0, 4);
  return {{{},
           {},
           {},
           {Truth(dice.Broadcasting(shape)),
            {dice.Broadcasting(shape), Fill::kWhole},
            {dice.Broadcasting(shape), Fill::kWhole}},
           {1, 2}},
          Slope::kExact};
}

RandomCase DropoutCase(std::string_view /*op*/, Dice& dice) {
  const Attributes attributes = {{"ratio", dice.Pick({0.0, 0.5, 0.75})},
                                 {"seed_id", dice.Between(0, 100)}};
  return {{{},
           {},
           attributes,
           {{dice.AnyShape(1, 4), Fill::kWhole},
            Integer(dice.Between(0, 1000)),
            Integer(dice.Between(0, 50))},
           {0},
           static_cast<int>(dice.Between(1, 2))},
          Slope::kExact};
}

}  // namespace

void AddPointwiseDraws(std::vector<RandomOp>& ops) {
  for (const char* op : {"Abs", "Clip", "HardSigmoid", "LeakyRelu", "Relu"}) {
    ops.push_back({op, OffKinks});
  }
  for (const char* op : {"Elu", "HardSwish"}) ops.push_back({op, SmoothOffKinks});
  for (const char* op :
       {"Cos", "Cosh", "Erf", "Exp", "Gelu", "Sigmoid", "Sin", "Sinh", "Softplus", "Tanh"}) {
    ops.push_back({op, Smooth});
  }
  for (const char* op : {"Log", "Reciprocal", "Sqrt"}) ops.push_back({op, Positive});
  for (const char* op : {"Cast", "Identity", "Neg"}) ops.push_back({op, Exact});
  for (const char* op : {"Add", "Mul", "Sub"}) ops.push_back({op, Arithmetic});
  for (const char* op : {"Max", "Min"}) ops.push_back({op, Extreme});
  ops.push_back({"Mod", Modulo});
  ops.push_back({"Div", Quotient});
  ops.push_back({"Pow", Power});
  ops.push_back({"Where", Choice});
  ops.push_back({"Dropout", DropoutCase});
}

}  // namespace wsi
