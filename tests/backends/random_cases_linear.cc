#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

// A matrix as it is stored.
Ints Stored(int64_t transposed, int64_t rows, int64_t columns) {
  return transposed == 1 ? Ints{columns, rows} : Ints{rows, columns};
}

Operand Whole(const Ints& sizes) { return {Shape::Make(sizes).value(), Fill::kWhole}; }

RandomCase GemmCase(std::string_view /*op*/, Dice& dice) {
  const int64_t m = dice.Between(1, 5);
  const int64_t k = dice.Between(1, 5);
  const int64_t n = dice.Between(1, 5);
  const int64_t a = dice.Flag();
  const int64_t b = dice.Flag();
  GradientCase node = {{},
                       {},
                       {{"transA", a},
                        {"transB", b},
                        {"alpha", dice.Pick({1.0, 0.5, -2.0})},
                        {"beta", dice.Pick({1.0, 1.5, -0.25})}},
                       {Whole(Stored(a, m, k)), Whole(Stored(b, k, n))},
                       {0, 1}};
  if (!dice.OneIn(3)) {
    node.inputs.push_back({dice.Broadcasting({m, n}), Fill::kWhole});
    node.wrt.push_back(2);
  }
  return {std::move(node), Slope::kExact};
}

RandomCase MatMulCase(std::string_view /*op*/, Dice& dice) {
  const int64_t m = dice.Between(1, 4);
  const int64_t k = dice.Between(1, 4);
  const int64_t n = dice.Between(1, 4);
  const Shape batch = dice.AnyShape(0, 2, 8);
  const auto behind = [&](const Ints& matrix) {
    const Shape own = dice.Broadcasting(batch);
    Ints sizes(own.begin(), own.end());
    sizes.insert(sizes.end(), matrix.begin(), matrix.end());
    return sizes;
  };
  const int64_t a = dice.Flag();
  const int64_t b = dice.Flag();
  const Ints left = dice.OneIn(6) ? Ints{k} : behind(Stored(a, m, k));
  const Ints right = dice.OneIn(6) ? Ints{k} : behind(Stored(b, k, n));
  // A vector is not transposed.
  const Attributes attributes = {{"transA", left.size() > 1 ? a : 0},
                                 {"transB", right.size() > 1 ? b : 0}};
  return {{{}, {}, attributes, {Whole(left), Whole(right)}, {0, 1}}, Slope::kExact};
}

RandomCase ClassLossCase(std::string_view op, Dice& dice) {
  Ints scores = dice.Sizes(1, 3, 24);
  const int64_t classes = dice.Between(2, 5);
  Ints target = scores;
  scores.insert(scores.begin() + 1, classes);
  const Shape targets = Shape::Make(target).value();
  Attributes attributes = {{"reduction", std::string(dice.Coin() ? "mean" : "sum")}};
  // A class that is all that there is would leave a mean of nothing.
  const bool enough = targets.ElementCount() >= 12 && classes > 2;
  if (dice.Coin()) {
    attributes.Set("ignore_index", enough ? dice.Between(0, classes - 1) : int64_t{-100});
  }
  const bool linear = op == "NegativeLogLikelihoodLoss";
  GradientCase node = {{},
                       {},
                       std::move(attributes),
                       {{Shape::Make(scores).value(), linear ? Fill::kWhole : Fill::kSpread},
                        Index(targets, classes)},
                       {0}};
  if (dice.Coin()) node.inputs.push_back({{classes}, Fill::kPositive});
  if (!linear && dice.Coin()) node.outputs = 2;
  return {std::move(node), linear ? Slope::kLinear : Slope::kSmooth};
}

RandomCase ElementLossCase(std::string_view op, Dice& dice) {
  const Shape shape = dice.AnyShape(1, 4);
  const bool square = op == "MeanSquaredError";
  return {{{},
           {},
           {},
           {{shape}, {shape, square ? Fill::kSpread : Fill::kUnit}},
           square ? std::vector<int>{0, 1} : std::vector<int>{0}},
          Slope::kSmooth};
}

}  // namespace

void AddLinearAndLossDraws(std::vector<RandomOp>& ops) {
  ops.push_back({"Gemm", GemmCase});
  ops.push_back({"MatMul", MatMulCase});
  for (const char* op : {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}) {
    ops.push_back({op, ClassLossCase});
  }
  for (const char* op : {"MeanSquaredError", "SigmoidCrossEntropyLoss"}) {
    ops.push_back({op, ElementLossCase});
  }
}

}  // namespace wsi
