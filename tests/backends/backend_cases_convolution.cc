#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

struct ConvCase {
  std::string name;
  Shape x;
  int64_t out_channels;
  Ints kernel, strides, dilations, pads;
  int64_t group = 1;
};

Shape WeightShape(const ConvCase& c) {
  Ints sizes = {c.out_channels};
  sizes.insert(sizes.end(), c.kernel.begin(), c.kernel.end());
  sizes.push_back(c.x[-1] / c.group);
  return Shape::Make(sizes).value();
}

Shape ResultShape(const ConvCase& c) {
  Ints sizes = {c.x[0]};
  for (size_t a = 0; a < c.kernel.size(); ++a) {
    const int64_t padded = c.x[static_cast<int>(a) + 1] + c.pads[a] + c.pads[c.kernel.size() + a];
    sizes.push_back((padded - (c.kernel[a] - 1) * c.dilations[a] - 1) / c.strides[a] + 1);
  }
  sizes.push_back(c.out_channels);
  return Shape::Make(sizes).value();
}

void AddConv(std::vector<BackendCase>& cases, const ConvCase& c) {
  const Attributes attributes =
      With(WindowAttributes(c.kernel, c.strides, c.dilations, c.pads), "group", c.group);
  const Shape w = WeightShape(c);
  const Shape y = ResultShape(c);
  const auto count = [](const Shape& shape) { return static_cast<double>(shape.ElementCount()); };
  const double taps = count(w) / static_cast<double>(c.out_channels);
  const double back = count(w) / static_cast<double>(w[-1]) / static_cast<double>(c.group);
  const double positions = count(y) / static_cast<double>(c.out_channels);
  cases.push_back({"Conv", c.name, attributes, {{c.x}, {w}}, {true}, {.c = 4, .length = taps}});
  cases.push_back({"Conv",
                   c.name + "_bias",
                   attributes,
                   {{c.x}, {w}, {{c.out_channels}}},
                   {true},
                   // The bias may cancel what it is added to, whose rounding stays.
                   {.c = 4, .length = taps, .floor = 1}});
  cases.push_back({"ConvInputGrad",
                   c.name,
                   WithShape(attributes, "input_shape", c.x),
                   {{y}, {w}},
                   {true},
                   {.c = 4, .length = back}});
  cases.push_back(
      {"ConvTranspose", c.name, attributes, {{y}, {w}}, {true}, {.c = 4, .length = back}});
  cases.push_back({"ConvWeightGrad",
                   c.name,
                   WithShape(attributes, "weight_shape", w),
                   {{c.x}, {y}},
                   {true},
                   {.c = 4, .length = positions}});
}

}  // namespace

void AddConvolutionCases(std::vector<BackendCase>& cases) {
  const Ints one = {1, 1};
  const Ints none = {0, 0, 0, 0};
  const Ints around = {1, 1, 1, 1};
  const ConvCase convolutions[] = {
      {"point_1_1", {1, 1, 1, 1}, 1, one, one, one, none},
      {"point_16_64", {3, 5, 7, 16}, 64, one, one, one, none},
      {"point_17_3_strided", {1, 9, 11, 17}, 3, one, {2, 2}, one, none},
      {"same_3_16", {3, 9, 7, 3}, 16, {3, 3}, one, one, around},
      {"same_64_64", {1, 15, 13, 64}, 64, {3, 3}, one, one, around},
      {"same_17_17", {3, 8, 9, 17}, 17, {3, 3}, one, one, around},
      {"tiles_72_136", {2, 27, 33, 72}, 136, {3, 3}, one, one, around},
      {"strided_16_17", {1, 16, 15, 16}, 17, {3, 3}, {2, 2}, one, around},
      {"strided_16_32", {1, 16, 15, 16}, 32, {3, 3}, {2, 2}, one, around},
      {"stem", {1, 37, 33, 3}, 64, {7, 7}, {2, 2}, one, {3, 3, 3, 3}},
      {"uneven", {3, 10, 12, 16}, 3, {2, 5}, {3, 1}, one, {0, 3, 1, 2}},
      {"dilated", {1, 13, 14, 17}, 16, {3, 3}, one, {2, 3}, {2, 3, 2, 3}},
      {"dilated_strided", {3, 13, 14, 3}, 17, {3, 2}, {2, 3}, {2, 1}, {1, 0, 0, 2}},
      {"dilated_strided_groups", {1, 80, 70, 12}, 8, {3, 3}, {2, 2}, {2, 2}, {2, 2, 2, 2}, 2},
      {"large_pads", {1, 3, 4, 3}, 3, {3, 3}, one, one, {4, 5, 5, 4}},
      {"whole_image", {3, 5, 7, 16}, 17, {5, 7}, one, one, none},
      {"narrower_than_stride", {1, 7, 2, 3}, 17, {2, 3}, {1, 3}, one, {0, 0, 0, 1}},
      {"one_axis_below_stride", {1, 1, 3}, 3, {2}, {3}, {1}, {1, 0}},
      {"grouped", {3, 7, 7, 16}, 64, {3, 3}, one, one, around, 4},
      {"grouped_odd", {1, 7, 6, 51}, 34, {3, 3}, {2, 1}, one, around, 17},
      {"depthwise", {3, 9, 8, 16}, 16, {3, 3}, one, one, around, 16},
      {"depthwise_17_strided", {1, 11, 10, 17}, 17, {3, 3}, {2, 2}, one, around, 17},
      {"depthwise_64_5", {1, 12, 9, 64}, 64, {5, 5}, one, one, {2, 2, 2, 2}, 64},
      {"depthwise_twice", {3, 6, 7, 3}, 6, {3, 3}, one, one, around, 3},
      {"depthwise_dilated", {1, 11, 12, 17}, 17, {3, 3}, one, {2, 2}, {2, 2, 2, 2}, 17},
      {"depthwise_8_strided", {2, 13, 38, 8}, 8, {3, 3}, {2, 2}, one, around, 8},
      {"depthwise_24_uneven", {1, 10, 13, 24}, 24, {3, 3}, {2, 2}, one, {0, 1, 1, 0}, 24},
      {"depthwise_16_5_strided", {1, 14, 11, 16}, 16, {5, 5}, {2, 2}, one, {2, 1, 2, 2}, 16},
      {"depthwise_24_7", {2, 9, 10, 24}, 24, {7, 7}, one, one, {3, 3, 3, 3}, 24},
      {"depthwise_40_tall", {1, 70, 2, 40}, 40, {3, 3}, one, one, around, 40},
      {"depthwise_8_flat", {1, 2, 90, 8}, 8, {3, 5}, {1, 2}, one, {1, 2, 1, 2}, 8},
      {"depthwise_16_mixed", {1, 9, 12, 16}, 16, {4, 3}, {3, 1}, {1, 1}, {1, 0, 2, 1}, 16},
      {"depthwise_8_dilated", {1, 12, 14, 8}, 8, {3, 3}, {2, 2}, {2, 3}, {2, 3, 2, 3}, 8},
      {"depthwise_16_beyond", {2, 3, 2, 16}, 16, {7, 7}, one, one, {3, 3, 3, 3}, 16},
      {"depthwise_8_far_pads", {1, 3, 4, 8}, 8, {3, 3}, one, one, {4, 5, 5, 4}, 8},
      {"depthwise_264", {1, 5, 6, 264}, 264, {3, 3}, one, one, around, 264},
      {"depthwise_8_twice", {1, 6, 7, 8}, 16, {3, 3}, {2, 2}, one, around, 8},
      {"depthwise_one_axis", {2, 67, 16}, 16, {3}, {2}, {1}, {1, 0}, 16},
      {"depthwise_three_axes",
       {2, 5, 6, 7, 8},
       8,
       {3, 2, 3},
       {2, 1, 1},
       {1, 2, 1},
       {1, 0, 1, 1, 2, 1},
       8},
      {"one_axis", {3, 17, 3}, 16, {3}, {2}, {1}, {1, 0}},
      {"three_axes", {1, 5, 6, 7, 3}, 16, {3, 2, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 2, 1, 0, 2}}};
  for (const ConvCase& c : convolutions) AddConv(cases, c);
}

}  // namespace wsi
