#include <array>

#include "tests/backends/large_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;
constexpr DType kHalf = DType::kF16;
constexpr Bound kFew = {.c = 16, .floor = 1};

Operand Of(Shape shape, Fill fill = Fill::kSpread) { return {std::move(shape), fill, 0, kHalf}; }
Operand Single(Shape shape, Fill fill = Fill::kSpread) {
  return {std::move(shape), fill, 0, DType::kF32};
}

LargeCase Bounded(const char* op, Attributes attributes, std::vector<Operand> inputs, Bound bound) {
  LargeCase large;
  large.op = op;
  large.attributes = std::move(attributes);
  large.inputs = std::move(inputs);
  large.bound = bound;
  return large;
}

Attributes PoolAttributes(int64_t kernel, int64_t stride, int64_t pad) {
  return WindowAttributes({kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad, pad, pad});
}
Shape Pooled(const Shape& x, int64_t kernel, int64_t stride, int64_t pad) {
  const auto size = [&](int64_t in) { return (in + 2 * pad - kernel) / stride + 1; };
  return {1, size(x[1]), size(x[2]), x[3]};
}
LargeCase MaxPool(const Scale& s) {
  LargeCase large = Bounded("MaxPool", PoolAttributes(3, 2, 1), {Of(s.Image(16))}, {.c = 0});
  large.outputs = {true, true};
  return large;
}
LargeCase MaxPoolGrad(const Scale& s) {
  const Shape x = s.Image(16);
  const Shape y = Pooled(x, 3, 2, 0);
  return Bounded("MaxPoolGrad", WithShape(PoolAttributes(3, 2, 0), "input_shape", x),
                 {Of(y), Index(y, 9, DType::kU8)}, {.c = 4, .length = 4, .floor = 1});
}
LargeCase AveragePool(const Scale& s) {
  return Bounded("AveragePool", PoolAttributes(3, 1, 1), {Of(s.Image(16))},
                 {.c = 4, .length = 9, .floor = 0.1});
}
LargeCase AveragePoolGrad(const Scale& s) {
  const Shape x = s.Image(17);
  LargeCase large = Bounded("AveragePoolGrad", WithShape(PoolAttributes(2, 2, 0), "input_shape", x),
                            {Of(Pooled(x, 2, 2, 0))}, {.c = 4, .floor = 0.1});
  large.window = {{1, 1}};
  return large;
}
LargeCase GlobalAveragePoolGrad(const Scale& s) {
  const Shape x = s.Image(24);
  const Attributes attributes = {{"channels_last", int64_t{1}}};
  LargeCase large = Bounded("GlobalAveragePoolGrad", WithShape(attributes, "input_shape", x),
                            {Of({1, 1, 1, 24})}, {.c = 2});
  large.window = {{1, 1}};
  return large;
}

Attributes Norm() { return {{"epsilon", 1e-5}, {"channels_last", int64_t{1}}}; }
Operand Channels(int64_t count, Fill fill = Fill::kSpread) { return Single({count}, fill); }
LargeCase BatchNormApply(const Scale& s) {
  const Operand x = Of(s.Image(24));
  return Bounded("BatchNormApply", With(Norm(), "relu", int64_t{1}),
                 {x, Channels(24), Channels(24), Channels(24), Channels(24, Fill::kPositive), x},
                 kFew);
}
LargeCase BatchNormGradApply(const Scale& s) {
  const Operand x = Of(s.Image(24));
  const Operand c = Channels(24);
  LargeCase large = Bounded(
      "BatchNormGradApply", With(Norm(), "relu", int64_t{1}),
      {x, x, c, c, Channels(24, Fill::kPositive), c, c, Of(s.Image(24), Fill::kTies)}, kFew);
  large.window = {{1, 1}};
  return large;
}
LargeCase BatchNormGradFrozen(const Scale& s) {
  return Bounded("BatchNormGradFrozen", Norm(),
                 {Of(s.Image(17)), Channels(17), Channels(17, Fill::kPositive)}, kFew);
}

Shape Tokens(const Scale& s, int64_t length) { return {s.RowsOf(length), length}; }
LargeCase LayerNorm(const Scale& s) {
  LargeCase large = Bounded("LayerNormalization", {{"axis", int64_t{1}}, {"epsilon", 1e-3}},
                            {Of(Tokens(s, 192)), Channels(192), Channels(192)},
                            {.c = 16, .length = 192, .floor = 1});
  large.outputs = {true, true, true};
  large.window = {{0, 5}};
  return large;
}
LargeCase LayerNormGrad(const Scale& s) {
  const Shape x = Tokens(s, 192);
  LargeCase large = Bounded("LayerNormGrad", {{"axis", int64_t{1}}},
                            {Of(x), Of(x), Channels(192), Single({x[0], 1}, Fill::kUnit),
                             Single({x[0], 1}, Fill::kPositive)},
                            {.c = 16, .length = 192, .floor = 1});
  large.outputs = {true, true, true};
  large.window = {{0, 5}};
  return large;
}
LargeCase GroupNorm(const Scale& s) {
  LargeCase large =
      Bounded("GroupNormalization",
              {{"num_groups", int64_t{4}}, {"epsilon", 1e-3}, {"channels_last", int64_t{1}}},
              {Of({s.RowsOf(48 * 24), 8, 6, 24}), Channels(24), Channels(24)},
              {.c = 16, .length = 288, .floor = 1});
  large.outputs = {true, true, true};
  large.is_sliced = true;
  large.window = {{0, 2}};
  return large;
}
LargeCase GroupNormGrad(const Scale& s) {
  const Shape x{s.RowsOf(48 * 24), 8, 6, 24};
  const Shape groups{x[0], 4};
  LargeCase large = Bounded(
      "GroupNormGrad", {{"num_groups", int64_t{4}}, {"channels_last", int64_t{1}}},
      {Of(x), Of(x), Channels(24), Single(groups, Fill::kUnit), Single(groups, Fill::kPositive)},
      {.c = 16, .length = 288, .floor = 1});
  large.outputs = {true, true, true};
  large.is_sliced = true;
  large.window = {{0, 2}};
  return large;
}

LargeCase SoftmaxOf(const char* op, const Shape& x, int64_t axis, bool grad, int window_axis) {
  LargeCase large =
      Bounded(op, {{"axis", axis}}, {Of(x)},
              {.c = 8, .length = static_cast<double>(x[static_cast<int>(axis)]), .floor = 1});
  if (grad) large.inputs.push_back(Of(x, op[0] == 'S' ? Fill::kUnit : Fill::kNegative));
  large.window = {{window_axis, 5}};
  return large;
}
LargeCase SoftmaxRows(const Scale& s) { return SoftmaxOf("Softmax", Tokens(s, 190), 1, false, 0); }
LargeCase SoftmaxGradRows(const Scale& s) {
  return SoftmaxOf("SoftmaxGrad", Tokens(s, 190), 1, true, 0);
}
LargeCase LogSoftmaxMap(const Scale& s) {
  return SoftmaxOf("LogSoftmax", {1, 19, s.RowsOf(19)}, 1, false, 2);
}
LargeCase LogSoftmaxGradMap(const Scale& s) {
  return SoftmaxOf("LogSoftmaxGrad", {1, 19, s.RowsOf(19)}, 1, true, 2);
}

// Many results, or few.
LargeCase Reduced(const Scale& s, const char* op, Ints axes, std::vector<WindowAxis> window) {
  LargeCase large = Bounded(op, {{"axes", std::move(axes)}, {"keepdims", int64_t{1}}},
                            {Of(s.Image(17))}, {.c = 8, .length = 4096, .floor = 1});
  large.window = std::move(window);
  return large;
}
LargeCase ReduceMaxChannels(const Scale& s) {
  return Reduced(s, "ReduceMax", {3}, {{1, 2}, {2, 12}});
}
LargeCase ReduceMeanColumns(const Scale& s) { return Reduced(s, "ReduceMean", {2}, {{1, 2}}); }
LargeCase ReduceMinRows(const Scale& s) { return Reduced(s, "ReduceMin", {1}, {{2, 2}}); }
LargeCase ArgMaxChannels(const Scale& s) {
  return Bounded(
      "ArgMax", {{"axis", int64_t{3}}, {"keepdims", int64_t{1}}, {"select_last_index", int64_t{0}}},
      {Of(s.Image(17))}, {.c = 0});
}
LargeCase TopKChannels(const Scale& s) {
  LargeCase large =
      Bounded("TopK", {{"axis", int64_t{3}}, {"k", int64_t{2}}, {"largest", int64_t{1}}},
              {Of(s.Image(17))}, {.c = 0});
  large.outputs = {true, true};
  return large;
}
LargeCase CumSumColumns(const Scale& s) {
  LargeCase large =
      Bounded("CumSum", {{"axis", int64_t{2}}, {"exclusive", int64_t{0}}, {"reverse", int64_t{1}}},
              {Of(s.Image(17))}, {.c = 64});
  large.window = {{1, 1}};
  return large;
}
LargeCase CumSumChannels(const Scale& s) {
  return Bounded("CumSum",
                 {{"axis", int64_t{3}}, {"exclusive", int64_t{1}}, {"reverse", int64_t{0}}},
                 {Of(s.Image(17))}, {.c = 64});
}

constexpr auto kCases = std::to_array<NamedLargeCase>({
    {"MaxPool", MaxPool},
    {"MaxPoolGrad", MaxPoolGrad},
    {"AveragePool", AveragePool},
    {"AveragePoolGrad", AveragePoolGrad},
    {"GlobalAveragePoolGrad", GlobalAveragePoolGrad},
    {"BatchNormApply", BatchNormApply},
    {"BatchNormGradApply", BatchNormGradApply},
    {"BatchNormGradFrozen", BatchNormGradFrozen},
    {"LayerNormalization", LayerNorm},
    {"LayerNormGrad", LayerNormGrad},
    {"GroupNormalization", GroupNorm},
    {"GroupNormGrad", GroupNormGrad},
    {"SoftmaxRows", SoftmaxRows},
    {"SoftmaxGradRows", SoftmaxGradRows},
    {"LogSoftmaxMap", LogSoftmaxMap},
    {"LogSoftmaxGradMap", LogSoftmaxGradMap},
    {"ReduceMaxChannels", ReduceMaxChannels},
    {"ReduceMeanColumns", ReduceMeanColumns},
    {"ReduceMinRows", ReduceMinRows},
    {"ArgMaxChannels", ArgMaxChannels},
    {"TopKChannels", TopKChannels},
    {"CumSumColumns", CumSumColumns},
    {"CumSumChannels", CumSumChannels},
});

}  // namespace

std::span<const NamedLargeCase> ChannelLargeCases() { return kCases; }

}  // namespace wsi
