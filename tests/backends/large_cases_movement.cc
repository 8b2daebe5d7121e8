#include <array>

#include "tests/backends/large_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;
constexpr DType kHalf = DType::kF16;

Operand Of(Shape shape, DType dtype = kHalf, Fill fill = Fill::kSpread) {
  return {std::move(shape), fill, 0, dtype};
}

LargeCase Plain(const char* op, Attributes attributes, std::vector<Operand> inputs) {
  LargeCase large;
  large.op = op;
  large.attributes = std::move(attributes);
  large.inputs = std::move(inputs);
  return large;
}

LargeCase ToFirst(const Scale& s) {
  LargeCase large = Plain("Transpose", {{"perm", Ints{0, 3, 1, 2}}}, {Of(s.Image(16))});
  large.window = {{2, 2}, {3, 12}};
  return large;
}
LargeCase ToLast(const Scale& s) {
  const Shape x{1, 24, s.RowsOf(24 * s.columns), s.columns};
  return Plain("Transpose", {{"perm", Ints{0, 2, 3, 1}}}, {Of(x)});
}
LargeCase OddBytes(const Scale& s) {
  LargeCase large = Plain("Transpose", {{"perm", Ints{1, 0}}},
                          {Of({s.RowsOf(s.columns), s.columns}, DType::kBool, Fill::kTruth)});
  large.window = {{0, 9}, {1, 33}};
  return large;
}
LargeCase ConcatChannels(const Scale& s) {
  const int64_t rows = s.RowsOf(s.columns * 33);
  const auto of = [&](int64_t channels) { return Of({1, rows, s.columns, channels}); };
  return Plain("Concat", {{"axis", int64_t{3}}}, {of(16), of(1), of(16)});
}
LargeCase ConcatRows(const Scale& s) {
  const Shape whole = s.Image(24);
  const int64_t first = whole[1] / 3;
  return Plain("Concat", {{"axis", int64_t{1}}},
               {Of({1, first, s.columns, 24}), Of({1, whole[1] - first, s.columns, 24})});
}
Attributes SliceAttributes(const Shape& x) {
  return {{"starts", Ints{1, 2}},
          {"ends", Ints{x[1], x[2] - 1}},
          {"axes", Ints{1, 2}},
          {"steps", Ints{1, 2}}};
}
LargeCase Slice(const Scale& s) {
  const Shape x = s.Image(24);
  return Plain("Slice", SliceAttributes(x), {Of(x)});
}
LargeCase SliceBackwards(const Scale& s) {
  const Shape x = s.Image(17);
  return Plain("Slice",
               {{"starts", Ints{x[1] - 1, 15}},
                {"ends", Ints{-1, 2}},
                {"axes", Ints{1, 3}},
                {"steps", Ints{-1, -1}}},
               {Of(x)});
}
LargeCase SliceGrad(const Scale& s) {
  const Shape x = s.Image(24);
  const Shape part{1, x[1] - 1, (x[2] - 1 - 2 + 1) / 2, 24};
  return Plain("SliceGrad", WithShape(SliceAttributes(x), "input_shape", x), {Of(part)});
}
LargeCase Pad(const Scale& s) {
  return Plain("Pad", {{"pads", Ints{0, 1, 2, 0, 0, 3, 0, 0}}, {"value", -1.5}}, {Of(s.Image(24))});
}
LargeCase Expand(const Scale& s) {
  const Shape y = s.Image(24);
  return Plain("Expand", {{"shape", Ints(y.begin(), y.end())}}, {Of({y[1], 1, 24})});
}
LargeCase Reshape(const Scale& s) {
  const Shape x = s.Image(24);
  LargeCase large = Plain("Reshape", {{"shape", Ints{1, x[1], x[2] * x[3]}}}, {Of(x)});
  large.window = {{1, 1}};
  return large;
}
LargeCase Fill16(const Scale& s) {
  const Shape y = s.Image(24);
  return Plain("Fill", {{"shape", Ints(y.begin(), y.end())}, {"value", 1.5}, {"dtype", "f16"}}, {});
}
LargeCase GatherRows(const Scale& s) {
  const Shape x = s.Image(24);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < x[1]; ++i) rows.push_back(x[1] - 1 - i);
  LargeCase large = Plain("Gather", {{"axis", int64_t{1}}}, {Of(x), Index({x[1]}, x[1])});
  large.given.emplace(1, Tensor::Of<int64_t>({x[1]}, rows));
  return large;
}
LargeCase GatherGrad(const Scale& s) {
  const Shape x = s.Image(24);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < x[1]; ++i) rows.push_back(i * 7 % x[1]);
  LargeCase large =
      Plain("GatherGrad", {{"axis", int64_t{1}}, {"size", x[1]}}, {Of(x), Index({x[1]}, x[1])});
  large.given.emplace(1, Tensor::Of<int64_t>({x[1]}, rows));
  large.window = {{2, 1}};
  large.bound = {.c = 8, .floor = 4};
  return large;
}
LargeCase GatherElements(const Scale& s) {
  const Shape x = s.Image(16);
  return Plain("GatherElements", {{"axis", int64_t{3}}}, {Of(x), Index(x, 16)});
}
LargeCase ScatterElements(const Scale& s) {
  const Shape x = s.Image(16);
  const Shape part{1, x[1], x[2], 3};
  return Plain("ScatterElements", {{"axis", int64_t{3}}, {"reduction", "none"}},
               {Of(x), Index(part, 16), Of(part)});
}

// Rows between two of the input's, as a doubling resize has them.
void GiveTable(LargeCase& large, int64_t positions, int64_t size) {
  std::vector<int64_t> indices;
  std::vector<float> weights;
  for (int64_t i = 0; i < positions; ++i) {
    const int64_t low = std::max<int64_t>((i - 1) / 2, 0);
    indices.insert(indices.end(), {low, std::min(low + 1, size - 1)});
    const float part = i % 2 == 0 ? 0.75F : 0.25F;
    weights.insert(weights.end(), {1 - part, part});
  }
  const Shape table{positions, 2};
  large.given.emplace(1, Tensor::Of<int64_t>(table, indices));
  large.given.emplace(2, Tensor::Of<float>(table, weights));
  large.bound = {.c = 16, .length = 4, .floor = 4};
}
LargeCase Resample(const Scale& s) {
  const Shape y = s.Image(24);
  const int64_t rows = CeilDiv(y[1], 2);
  LargeCase large =
      Plain("Resample", {{"axis", int64_t{1}}},
            {Of({1, rows, y[2], 24}), Index({2 * rows, 2}, rows), Of({2 * rows, 2}, DType::kF32)});
  GiveTable(large, 2 * rows, rows);
  return large;
}
LargeCase ResampleGrad(const Scale& s) {
  const Shape dy = s.Image(24);
  const int64_t rows = CeilDiv(dy[1], 2);
  LargeCase large = Plain(
      "ResampleGrad", {{"axis", int64_t{1}}, {"size", rows}},
      {Of({1, 2 * rows, dy[2], 24}), Index({2 * rows, 2}, rows), Of({2 * rows, 2}, DType::kF32)});
  GiveTable(large, 2 * rows, rows);
  return large;
}

constexpr auto kCases = std::to_array<NamedLargeCase>({
    {"TransposeToFirst", ToFirst},
    {"TransposeToLast", ToLast},
    {"TransposeOddBytes", OddBytes},
    {"ConcatChannels", ConcatChannels},
    {"ConcatRows", ConcatRows},
    {"Slice", Slice},
    {"SliceBackwards", SliceBackwards},
    {"SliceGrad", SliceGrad},
    {"Pad", Pad},
    {"Expand", Expand},
    {"Reshape", Reshape},
    {"Fill", Fill16},
    {"Gather", GatherRows},
    {"GatherGrad", GatherGrad},
    {"GatherElements", GatherElements},
    {"ScatterElements", ScatterElements},
    {"Resample", Resample},
    {"ResampleGrad", ResampleGrad},
});

}  // namespace

std::span<const NamedLargeCase> MovementLargeCases() { return kCases; }

}  // namespace wsi
