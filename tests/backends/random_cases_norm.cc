#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

Shape ActivationShape(Dice& dice, int64_t channels) {
  std::vector<int64_t> sizes = dice.Sizes(1, 4, 30);
  sizes.push_back(channels);
  return Shape::Make(sizes).value();
}

// An epsilon that keeps the curvature low even where the variance is small.
double AnyEpsilon(Dice& dice) { return dice.Pick({0.25, 0.5, 1.0}); }

Attributes ChannelsLastNorm(Dice& dice) {
  return {{"epsilon", AnyEpsilon(dice)}, {"channels_last", int64_t{1}}};
}

RandomCase BatchNormTrainCase(std::string_view /*op*/, Dice& dice) {
  const int64_t channels = dice.Between(1, 4);
  return {{{},
           {},
           ChannelsLastNorm(dice),
           {{ActivationShape(dice, channels)}, {{channels}, Fill::kOffZero}, {{channels}}},
           {0, 1, 2},
           3},
          Slope::kSmooth};
}

// What the ReLU sees is an odd multiple of 1/64 at least, its slope 6 at most: x is an odd
// multiple of 1/32, the deviation 1/2, 1 or 2, all else an integer.
RandomCase BatchNormApplyCase(std::string_view /*op*/, Dice& dice) {
  const int64_t channels = dice.Between(1, 4);
  const Shape x = ActivationShape(dice, channels);
  const Operand integers = {{channels}, Fill::kWhole};
  const Operand var = {{channels}, Fill::kNumber, dice.Pick({0.25, 1.0, 4.0})};
  GradientCase node = {{},
                       {},
                       {{"epsilon", 0.0}, {"relu", dice.Flag()}, {"channels_last", int64_t{1}}},
                       {{x, Fill::kDistinct}, integers, integers, integers, var},
                       {0, 1, 2}};
  if (dice.Coin()) {
    node.inputs.push_back({x, Fill::kWhole});
    node.wrt.push_back(5);
  }
  return {std::move(node), Slope::kExact};
}

RandomCase GroupNormCase(std::string_view /*op*/, Dice& dice) {
  const int64_t groups = dice.Between(1, 3);
  const int64_t channels = groups * dice.Between(1, 3);
  std::vector<int64_t> sizes = dice.Sizes(2, 4, 20);
  sizes.push_back(channels);
  Attributes attributes = ChannelsLastNorm(dice);
  attributes.Set("num_groups", groups);
  return {{{},
           {},
           std::move(attributes),
           {{Shape::Make(sizes).value()}, {{channels}, Fill::kOffZero}, {{channels}}},
           {0, 1, 2},
           dice.Coin() ? 1 : 3},
          Slope::kSmooth};
}

RandomCase RowNormCase(std::string_view op, Dice& dice) {
  const std::vector<int64_t> sizes = dice.Sizes(1, 4);
  const int64_t axis = dice.Between(0, static_cast<int64_t>(sizes.size()) - 1);
  const Shape elements = Shape::Make(std::span(sizes).subspan(static_cast<size_t>(axis))).value();
  const bool layer = op == "LayerNormalization";
  GradientCase node = {{},
                       {},
                       {{"axis", axis}, {"epsilon", AnyEpsilon(dice)}},
                       {{Shape::Make(sizes).value()}, {elements, Fill::kOffZero}},
                       {0, 1}};
  if (layer && dice.Coin()) {
    node.inputs.push_back({elements});
    node.wrt.push_back(2);
  }
  if (dice.Coin()) node.outputs = layer ? 3 : 2;
  return {std::move(node), Slope::kSmooth};
}

}  // namespace

void AddNormDraws(std::vector<RandomOp>& ops) {
  ops.push_back({"BatchNormTrain", BatchNormTrainCase});
  ops.push_back({"BatchNormApply", BatchNormApplyCase});
  ops.push_back({"GroupNormalization", GroupNormCase});
  for (const char* op : {"LayerNormalization", "RMSNormalization"}) {
    ops.push_back({op, RowNormCase});
  }
}

}  // namespace wsi
