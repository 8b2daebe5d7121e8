#include <array>

#include "tests/backends/large_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

constexpr Bound kFew = {.c = 16, .floor = 1};

Operand Single(Shape shape, Fill fill = Fill::kSpread) {
  return {std::move(shape), fill, 0, DType::kF32};
}
Operand Rate(double value) { return {Shape(), Fill::kNumber, value, DType::kF32}; }
// Few to a row, many rows: those of one axis.
Shape Flat(const Scale& s) { return {s.RowsOf(1)}; }

LargeCase Rows(const char* op, Attributes attributes, std::vector<Operand> inputs, size_t outputs) {
  LargeCase large;
  large.op = op;
  large.attributes = std::move(attributes);
  large.inputs = std::move(inputs);
  large.outputs.assign(outputs, true);
  large.bound = kFew;
  large.is_sliced = true;
  large.window = {{0, 1000}};
  return large;
}

LargeCase Sgd(const Scale& s) {
  LargeCase large = Rows("SgdUpdate", {{"weight_decay", 0.01}},
                         {Single(Flat(s)), Single(Flat(s)), Rate(0.125)}, 1);
  large.in_place = true;
  return large;
}
LargeCase Momentum(const Scale& s) {
  LargeCase large = Rows("MomentumUpdate", {{"momentum", 0.9}, {"weight_decay", 0.01}},
                         {Single(Flat(s)), Single(Flat(s)), Single(Flat(s)), Rate(0.125)}, 2);
  large.in_place = true;
  return large;
}
LargeCase Adam(const Scale& s) {
  LargeCase large = Rows(
      "AdamUpdate", {{"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0.01}},
      {Single(Flat(s)), Single(Flat(s)), Single(Flat(s)), Single(Flat(s), Fill::kPositive),
       Rate(0.125), Integer(1000), Rate(0.25), Rate(1)},
      3);
  large.in_place = true;
  return large;
}
LargeCase Dropout(const Scale& s) {
  LargeCase large =
      Rows("Dropout", {{"ratio", 0.25}, {"seed_id", int64_t{5}}},
           {{Flat(s), Fill::kOffZero, 0, DType::kF16}, Integer(12345), Integer(77)}, 2);
  large.is_sliced = false;  // Which elements stay depends on their numbers.
  return large;
}
LargeCase DropoutGrad(const Scale& s) {
  return Rows("DropoutGrad", {{"ratio", 0.25}},
              {{Flat(s), Fill::kSpread, 0, DType::kF16}, Truth(Flat(s))}, 1);
}
LargeCase ElementLossGrad(const Scale& s, const char* op) {
  LargeCase large = Rows(op, {}, {Rate(1e9), Single(Flat(s)), Single(Flat(s), Fill::kUnit)}, 1);
  large.is_sliced = false;  // Divided by the number of all elements.
  return large;
}
LargeCase MeanSquaredErrorGrad(const Scale& s) {
  return ElementLossGrad(s, "MeanSquaredErrorGrad");
}
LargeCase SigmoidCrossEntropyGrad(const Scale& s) {
  return ElementLossGrad(s, "SigmoidCrossEntropyGrad");
}
// Many maps of a few classes, or rows of scores.
LargeCase SoftmaxCrossEntropyGrad(const Scale& s) {
  const Shape scores{s.RowsOf(5 * 63), 5, 9, 7};
  LargeCase large =
      Rows("SoftmaxCrossEntropyGrad", {{"reduction", "sum"}},
           {Rate(1.5), Single(scores, Fill::kNegative), Index({scores[0], 9, 7}, 5)}, 1);
  large.window = {{0, 4}};
  return large;
}
LargeCase NegativeLogLikelihoodGrad(const Scale& s) {
  const Shape scores{s.RowsOf(10), 10};
  return Rows("NegativeLogLikelihoodGrad", WithShape({{"reduction", "sum"}}, "input_shape", scores),
              {Rate(0.75), Index({scores[0]}, 10), Single({10}, Fill::kPositive)}, 1);
}
Attributes Sampling() {
  return {{"mode", "linear"}, {"padding_mode", "border"}, {"align_corners", int64_t{0}}};
}
LargeCase GridSample(const Scale& s) {
  const int64_t images = s.RowsOf(7 * 63);
  LargeCase large =
      Rows("GridSample", Sampling(), {Single({images, 7, 5, 6}), Single({images, 9, 7, 2})}, 1);
  large.bound = {.c = 16, .length = 16, .floor = 4};
  large.window = {{0, 3}};
  return large;
}
LargeCase GridSampleGrad(const Scale& s) {
  const int64_t images = s.RowsOf(3 * 63);
  LargeCase large = Rows("GridSampleGrad", WithShape(Sampling(), "input_shape", {images, 3, 5, 6}),
                         {Single({images, 3, 9, 7}), Single({images, 9, 7, 2})}, 1);
  large.bound = {.c = 16, .length = 64, .floor = 4};
  large.window = {{0, 3}};
  return large;
}

constexpr auto kCases = std::to_array<NamedLargeCase>({
    {"SgdUpdate", Sgd},
    {"MomentumUpdate", Momentum},
    {"AdamUpdate", Adam},
    {"Dropout", Dropout},
    {"DropoutGrad", DropoutGrad},
    {"MeanSquaredErrorGrad", MeanSquaredErrorGrad},
    {"SigmoidCrossEntropyGrad", SigmoidCrossEntropyGrad},
    {"SoftmaxCrossEntropyGrad", SoftmaxCrossEntropyGrad},
    {"NegativeLogLikelihoodGrad", NegativeLogLikelihoodGrad},
    {"GridSample", GridSample},
    {"GridSampleGrad", GridSampleGrad},
});

}  // namespace

std::span<const NamedLargeCase> FlatLargeCases() { return kCases; }

}  // namespace wsi
