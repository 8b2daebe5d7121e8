#include <array>

#include "tests/backends/large_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

Operand Of(Shape shape, DType dtype = DType::kF16) {
  return {std::move(shape), Fill::kSpread, 0, dtype};
}

LargeCase Bounded(const char* op, Attributes attributes, std::vector<Operand> inputs, Bound bound) {
  LargeCase large;
  large.op = op;
  large.attributes = std::move(attributes);
  large.inputs = std::move(inputs);
  large.bound = bound;
  return large;
}

// Pointwise operators and programs.
LargeCase AddColumns(const Scale& s) {
  const Shape x = s.Image(24);
  return Bounded("Add", {}, {Of(x), Of({x[1], 1, 1})}, {.c = 4});
}
LargeCase Program(const Scale& s) {
  const Shape x = s.Image(24);
  LargeCase large = Bounded(
      "Pointwise",
      {{"program", "t0 = Mul(x0, x1); t1 = Add(t0, x2); t2 = Less(x0, x2); t3 = Sigmoid(t1)"},
       {"results", Ints{3, 2}},
       {"types", "f16 bool"}},
      {Of(x), Of({24}), Of({x[1], 1, 24})}, {.c = 64, .floor = 8});
  large.outputs = {true, true};
  return large;
}
LargeCase Where(const Scale& s) {
  const Shape x = s.Image(17);
  return Bounded("Where", {}, {Truth(x), Of(x), Of({x[1], x[2], 1})}, {.c = 0});
}
LargeCase Widen(const Scale& s) {
  return Bounded("Cast", {{"to", "f32"}}, {Of(s.Image(17))}, {.c = 0});
}
LargeCase Narrow(const Scale& s) {
  return Bounded("Cast", {{"to", "bf16"}}, {Of(s.Image(17), DType::kF32)}, {.c = 0});
}
LargeCase FromBytes(const Scale& s) {
  return Bounded("Cast", {{"to", "f16"}}, {Index(s.Image(3), 256, DType::kU8)}, {.c = 0});
}

struct Convolution {
  int64_t in_channels, out_channels, kernel, stride, pad;
  int64_t group = 1;
  bool bias = false;
};
Attributes AttributesOf(const Convolution& c) {
  return With(WindowAttributes({c.kernel, c.kernel}, {c.stride, c.stride}, {1, 1},
                               {c.pad, c.pad, c.pad, c.pad}),
              "group", c.group);
}
Operand WeightOf(const Convolution& c) {
  return Of({c.out_channels, c.kernel, c.kernel, c.in_channels / c.group});
}
Shape ResultOf(const Convolution& c, const Shape& x) {
  const auto size = [&](int64_t in) { return (in + 2 * c.pad - c.kernel) / c.stride + 1; };
  return {1, size(x[1]), size(x[2]), c.out_channels};
}
// The larger of x and y passes the mark.
Shape ImageOf(const Convolution& c, const Scale& s) {
  const int64_t area = c.stride * c.stride;
  Shape x = s.Image(std::max(c.in_channels, c.out_channels / area));
  return {1, x[1] / 2 * 2 + 1, x[2], c.in_channels};
}
Bound BoundOf(const Convolution& c, int64_t channels) {
  const int64_t terms = c.kernel * c.kernel * channels / c.group;
  return {.c = 4, .length = static_cast<double>(terms), .floor = 1};
}
LargeCase Forward(const Convolution& c, const Scale& s) {
  LargeCase large =
      Bounded("Conv", AttributesOf(c), {Of(ImageOf(c, s)), WeightOf(c)}, BoundOf(c, c.in_channels));
  if (c.bias) large.inputs.push_back(Of({c.out_channels}));
  large.window = {{1, 2}, {2, 4}};
  return large;
}
LargeCase InputGrad(const Convolution& c, const Scale& s) {
  const Shape x = ImageOf(c, s);
  LargeCase large = Bounded("ConvInputGrad", WithShape(AttributesOf(c), "input_shape", x),
                            {Of(ResultOf(c, x)), WeightOf(c)}, BoundOf(c, c.out_channels));
  large.window = {{1, 2}, {2, 4}};
  return large;
}
constexpr Convolution kPlain{64, 64, 3, 1, 1, 1, true};
constexpr Convolution kStrided{32, 64, 3, 2, 1};
constexpr Convolution kPoint{16, 64, 1, 1, 0};
constexpr Convolution kStem{3, 64, 7, 2, 3};
constexpr Convolution kGrouped{32, 32, 3, 1, 1, 4};
constexpr Convolution kDepthwise{32, 32, 3, 1, 1, 32};

LargeCase Transposed(const Scale& s) {
  const Convolution c{16, 32, 2, 2, 0};
  const Shape y = s.Image(16);
  LargeCase large =
      Bounded("ConvTranspose", AttributesOf(c),
              {Of({1, CeilDiv(y[1], 2), CeilDiv(y[2], 2), 32}), WeightOf(c)}, BoundOf(c, 32));
  large.window = {{1, 2}, {2, 4}};
  return large;
}

// Products.
LargeCase Gemm(const Scale& s) {
  // cuBLASLt rounds the product to halves before it adds c: half a unit in the last place of
  // the product, which is at most 2 from the result.
  constexpr double kTwoRoundings = 4 + 0x1p-11 / 0x1p-23 / 8;
  LargeCase large = Bounded("Gemm", {{"transA", int64_t{0}}, {"transB", int64_t{1}}},
                            {Of({s.RowsOf(64), 64}), Of({48, 64}), Of({48})},
                            {.c = kTwoRoundings, .length = 64, .floor = 2});
  large.window = {{0, 5}};
  return large;
}
LargeCase GemmWide(const Scale& s) {
  LargeCase large =
      Bounded("Gemm", {{"transA", int64_t{1}}, {"transB", int64_t{0}}},
              {Of({16, 24}), Of({16, s.RowsOf(24)})}, {.c = 4, .length = 16, .floor = 1});
  large.window = {{1, 5}};
  return large;
}
LargeCase MatMulBatch(const Scale& s) {
  LargeCase large =
      Bounded("MatMul", {}, {Of({s.RowsOf(16 * 24), 16, 24}), Of({s.RowsOf(16 * 24), 24, 16})},
              {.c = 4, .length = 24, .floor = 1});
  large.window = {{0, 3}};
  return large;
}
LargeCase MatMulShared(const Scale& s) {
  LargeCase large = Bounded("MatMul", {}, {Of({2, s.RowsOf(2 * 32), 32}), Of({32, 24})},
                            {.c = 4, .length = 32, .floor = 1});
  large.window = {{0, 1}, {1, 5}};
  return large;
}

constexpr auto kCases = std::to_array<NamedLargeCase>({
    {"AddColumns", AddColumns},
    {"Program", Program},
    {"Where", Where},
    {"CastToSingle", Widen},
    {"CastFromSingle", Narrow},
    {"CastFromBytes", FromBytes},
    {"Conv", [](const Scale& s) { return Forward(kPlain, s); }},
    {"ConvStrided", [](const Scale& s) { return Forward(kStrided, s); }},
    {"ConvPoint", [](const Scale& s) { return Forward(kPoint, s); }},
    {"ConvStem", [](const Scale& s) { return Forward(kStem, s); }},
    {"ConvGrouped", [](const Scale& s) { return Forward(kGrouped, s); }},
    {"ConvDepthwise", [](const Scale& s) { return Forward(kDepthwise, s); }},
    {"ConvInputGrad", [](const Scale& s) { return InputGrad(kPlain, s); }},
    {"ConvInputGradStrided", [](const Scale& s) { return InputGrad(kStrided, s); }},
    {"ConvInputGradPoint", [](const Scale& s) { return InputGrad(kPoint, s); }},
    {"ConvInputGradGrouped", [](const Scale& s) { return InputGrad(kGrouped, s); }},
    {"ConvInputGradDepthwise", [](const Scale& s) { return InputGrad(kDepthwise, s); }},
    {"ConvTranspose", Transposed},
    {"Gemm", Gemm},
    {"GemmWide", GemmWide},
    {"MatMulBatch", MatMulBatch},
    {"MatMulShared", MatMulShared},
});

}  // namespace

std::span<const NamedLargeCase> LibraryLargeCases() { return kCases; }

}  // namespace wsi
