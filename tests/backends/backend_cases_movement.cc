#include <tuple>

#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;
constexpr Bound kSameBits = {.c = 0};

struct SliceCase {
  const char* name;
  Shape shape;
  Ints starts, ends, axes, steps;
};

void AddSlices(std::vector<BackendCase>& cases) {
  const SliceCase slices[] = {{"rows", {3, 7, 5, 16}, {1}, {6}, {1}, {1}},
                              {"channels", {3, 7, 5, 17}, {3}, {16}, {3}, {1}},
                              {"steps", {3, 7, 5, 3}, {0, 1}, {7, 5}, {1, 2}, {3, 2}},
                              {"backwards", {1, 7, 5, 3}, {6, 2}, {-1, -1}, {1, 3}, {-2, -1}},
                              {"one", {9}, {4}, {5}, {0}, {1}},
                              {"all", {3, 4}, {}, {}, {}, {}}};
  for (const SliceCase& s : slices) {
    Attributes attributes = {
        {"starts", s.starts}, {"ends", s.ends}, {"axes", s.axes}, {"steps", s.steps}};
    cases.push_back({"Slice", s.name, attributes, {{s.shape}}, {true}, kSameBits});
    attributes.Set("input_shape", Ints(s.shape.begin(), s.shape.end()));
    Ints sizes(s.shape.begin(), s.shape.end());
    for (size_t i = 0; i < s.axes.size(); ++i) {
      const int64_t distance = s.ends[i] - s.starts[i];
      const int64_t step = s.steps[i];
      sizes[static_cast<size_t>(s.axes[i])] = (distance + step - (step > 0 ? 1 : -1)) / step;
    }
    cases.push_back(
        {"SliceGrad", s.name, attributes, {{Shape::Make(sizes).value()}}, {true}, kSameBits});
  }
}

void AddConcats(std::vector<BackendCase>& cases) {
  const auto add = [&](const char* name, int64_t axis, std::vector<Operand> inputs) {
    cases.push_back({"Concat", name, {{"axis", axis}}, std::move(inputs), {true}, kSameBits});
  };
  add("channels", 3, {{{2, 5, 7, 16}}, {{2, 5, 7, 1}}, {{2, 5, 7, 17}}});
  add("rows", 1, {{{2, 5, 7, 3}}, {{2, 1, 7, 3}}});
  add("batch", 0, {{{1, 9}}, {{3, 9}}, {{2, 9}}});
  add("alone", 1, {{{3, 4}}});
}

void AddReductions(std::vector<BackendCase>& cases) {
  const auto add = [&](const std::string& name, const Shape& shape, const Ints& axes) {
    double length = 1;
    for (const int64_t axis : axes) length *= static_cast<double>(shape[static_cast<int>(axis)]);
    for (const char* op : {"ReduceSum", "ReduceMean"}) {
      const Bound bound = {.c = 4, .length = length, .floor = op[6] == 'S' ? 1.0 : 0.1};
      cases.push_back(
          {op, name, {{"axes", axes}, {"keepdims", int64_t{0}}}, {{shape}}, {true}, bound});
      cases.push_back({op,
                       name + "_kept",
                       {{"axes", axes}, {"keepdims", int64_t{1}}},
                       {{shape}},
                       {true},
                       bound});
    }
  };
  add("to_channels", {3, 9, 7, 17}, {0, 1, 2});
  add("to_channels_long", {1, 301, 67, 64}, {0, 1, 2});
  add("spatial", {3, 9, 7, 16}, {1, 2});
  add("last", {3, 5, 257}, {2});
  add("first", {33, 65}, {0});
  add("outer", {5, 6, 7}, {0, 2});
  add("all", {100, 101}, {0, 1});
  add("none", {3, 4}, {});
}

void AddExtremes(std::vector<BackendCase>& cases) {
  const auto add = [&](const char* op, const std::string& name, const Shape& shape, Ints axes) {
    const Attributes attributes = {{"axes", std::move(axes)}, {"keepdims", int64_t{0}}};
    const bool product = std::string_view(op) == "ReduceProd";
    const Bound bound = product ? Bound{.c = 16, .per_element = true} : kSameBits;
    const Operand x{shape, product ? Fill::kOffZero : Fill::kDistinct};
    cases.push_back({op, name, attributes, {x}, {true}, bound});
    cases.push_back({op, name + "_integers", attributes, {Index(shape, 7)}, {true}, kSameBits});
    if (product) return;
    const Operand truth = Truth(shape);
    cases.push_back({op, name + "_bools", attributes, {truth}, {true}, kSameBits});
  };
  for (const char* op : {"ReduceMax", "ReduceMin", "ReduceProd"}) {
    add(op, "last", {3, 5, 9}, {2});
    add(op, "first", {9, 17}, {0});
    add(op, "outer", {3, 6, 5}, {0, 2});
    add(op, "all", {4, 3, 2}, {0, 1, 2});
  }
  for (const char* op : {"ReduceMax", "ReduceMin"}) {
    add(op, "empty", {3, 0, 2}, {1});
  }
  const Attributes axes = {{"axes", Ints{1}}};
  cases.push_back({"ReduceSum", "integers", axes, {Index({3, 5, 7}, 100)}, {true}, kSameBits});
  cases.push_back({"ReduceSum", "empty", axes, {{{3, 0, 2}}}, {true}, kSameBits});
}

void AddIndexing(std::vector<BackendCase>& cases) {
  const Shape shape{5, 7, 6};
  for (const int64_t axis : {0, 1, 2}) {
    const std::string name = "axis" + std::to_string(axis);
    const Attributes along = {{"axis", axis}};
    Ints taken(shape.begin(), shape.end());
    taken[static_cast<size_t>(axis)] = 9;
    const Shape slices = Shape::Make(taken).value();
    const Operand index = Index({9}, shape[static_cast<int>(axis)]);
    const Operand element = Index({5, 7, 6}, 5);
    const Bound sum{.c = 8, .floor = 4};
    cases.push_back({"Gather", name, along, {{shape}, index}, {true}, kSameBits});
    cases.push_back({"Gather",
                     name + "_narrow",
                     along,
                     {Index(shape, 50), Index({9}, 5, DType::kI32)},
                     {true},
                     kSameBits});
    cases.push_back({"GatherGrad",
                     name,
                     {{"axis", axis}, {"size", shape[static_cast<int>(axis)]}},
                     {{slices}, index},
                     {true},
                     sum});
    cases.push_back({"GatherElements", name, along, {{shape}, element}, {true}, kSameBits});
    for (const char* reduction : {"none", "add", "mul", "max", "min"}) {
      cases.push_back({"ScatterElements",
                       name + "_" + reduction,
                       {{"axis", axis}, {"reduction", std::string(reduction)}},
                       {{shape}, element, {shape}},
                       {true},
                       {.c = 64, .floor = 4}});
    }
    const int64_t size = shape[static_cast<int>(axis)];
    const std::vector<Operand> table = {Index({9, 3}, size), {{9, 3}}};
    cases.push_back(
        {"Resample", name, along, {{shape}, table[0], table[1]}, {true}, {.c = 16, .floor = 4}});
    cases.push_back({"ResampleGrad",
                     name,
                     {{"axis", axis}, {"size", size}},
                     {{slices}, table[0], table[1]},
                     {true},
                     {.c = 16, .length = 9, .floor = 4}});
    for (const int64_t flag : {0, 1}) {
      const std::string flagged = name + (flag == 1 ? "_flag" : "");
      cases.push_back({"CumSum",
                       flagged,
                       {{"axis", axis}, {"exclusive", flag}, {"reverse", flag}},
                       {{shape}},
                       {true},
                       sum});
      cases.push_back({"TopK",
                       flagged,
                       {{"axis", axis}, {"k", int64_t{3}}, {"largest", flag}},
                       {{shape, Fill::kTies}},
                       {true, true},
                       kSameBits});
      for (const char* op : {"ArgMax", "ArgMin"}) {
        cases.push_back({op,
                         flagged,
                         {{"axis", axis}, {"keepdims", flag}, {"select_last_index", flag}},
                         {{shape, Fill::kTies}},
                         {true},
                         kSameBits});
      }
    }
  }
}

// Lines that are cut into parts.
void AddLongLines(std::vector<BackendCase>& cases) {
  for (const auto& [name, shape, axis] :
       {std::tuple<const char*, Shape, int64_t>{"one_long", {1, 2053}, 1},
        {"across", {2503, 3}, 0},
        {"planes", {2, 150, 40}, 1}}) {
    for (const int64_t flag : {0, 1}) {
      const std::string flagged = std::string(name) + (flag == 1 ? "_flag" : "");
      const Operand x{shape, flag == 1 ? Fill::kTies : Fill::kDistinct};
      cases.push_back({"CumSum",
                       flagged,
                       {{"axis", axis}, {"exclusive", flag}, {"reverse", 1 - flag}},
                       {{shape}},
                       {true},
                       {.c = 64}});
      for (const char* op : {"ArgMax", "ArgMin"}) {
        cases.push_back({op,
                         flagged,
                         {{"axis", axis}, {"keepdims", flag}, {"select_last_index", flag}},
                         {x},
                         {true},
                         kSameBits});
      }
      if (std::string_view(name) == "planes") continue;
      cases.push_back({"TopK",
                       flagged,
                       {{"axis", axis}, {"k", int64_t{7}}, {"largest", flag}},
                       {x},
                       {true, true},
                       kSameBits});
    }
  }
  const Attributes along = {{"axis", int64_t{0}}};
  cases.push_back({"CumSum", "long_integers", along, {Index({5000}, 1 << 30)}, {true}, kSameBits});
  cases.push_back({"TopK",
                   "whole_line",
                   {{"axis", int64_t{0}}, {"k", int64_t{60}}, {"largest", int64_t{1}}},
                   {Index({60}, 30)},
                   {true, true},
                   kSameBits});
}

void AddSoftmax(std::vector<BackendCase>& cases) {
  for (const auto& [name, shape, axis] :
       {std::tuple<const char*, Shape, int64_t>{"rows", {3, 10}, 1},
        {"long_rows", {2, 1000}, 1},
        {"one_class", {3, 1}, 1},
        {"map", {2, 5, 7, 3}, 1},
        {"channels", {2, 5, 7, 17}, 3},
        {"first", {9, 4}, 0}}) {
    const Attributes attributes = {{"axis", axis}};
    const Bound bound = {.c = 8, .length = static_cast<double>(shape[static_cast<int>(axis)])};
    const Bound sum = {.c = 8, .length = bound.length, .floor = 1};
    cases.push_back({"Softmax", name, attributes, {{shape}}, {true}, bound});
    cases.push_back({"LogSoftmax", name, attributes, {{shape}}, {true}, sum});
    cases.push_back(
        {"SoftmaxGrad", name, attributes, {{shape}, {shape, Fill::kUnit}}, {true}, sum});
    cases.push_back(
        {"LogSoftmaxGrad", name, attributes, {{shape}, {shape, Fill::kNegative}}, {true}, sum});
  }
  // What overflows unless the maximum is taken out first.
  cases.push_back({"Softmax",
                   "large",
                   {{"axis", int64_t{1}}},
                   {{{2, 5000}, Fill::kDistinct}},
                   {true},
                   {.c = 64}});
}

void AddGridSample(std::vector<BackendCase>& cases) {
  for (const char* mode : {"linear", "nearest", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (const int64_t align : {0, 1}) {
        const std::string name = std::string(mode) + "_" + padding + (align == 1 ? "_align" : "");
        const Attributes attributes = {{"mode", std::string(mode)},
                                       {"padding_mode", std::string(padding)},
                                       {"align_corners", align}};
        Attributes grad = attributes;
        grad.Set("input_shape", std::vector<int64_t>{2, 3, 4, 5});
        const Operand x{{2, 3, 4, 5}};
        const Operand at{{2, 6, 7, 2}};
        const Operand dy{{2, 3, 6, 7}};
        const Bound bound = {.c = 16, .length = 16, .floor = 4};
        cases.push_back({"GridSample", name, attributes, {x, at}, {true}, bound});
        cases.push_back({"GridSampleGrad", name, grad, {dy, at}, {true}, bound});
        cases.push_back({"GridSampleGridGrad", name, attributes, {dy, x, at}, {true}, bound});
      }
    }
  }
  // Many tiles of pixels, and of positions.
  for (const char* mode : {"linear", "cubic"}) {
    const Attributes attributes = {{"mode", std::string(mode)},
                                   {"padding_mode", std::string("border")},
                                   {"align_corners", int64_t{0}}};
    const Operand dy{{2, 5, 11, 13}};
    const Operand at{{2, 11, 13, 2}, Fill::kUnit};
    cases.push_back({"GridSampleGrad",
                     std::string("tiles_") + mode,
                     WithShape(attributes, "input_shape", {2, 5, 25, 23}),
                     {dy, at},
                     {true},
                     {.c = 16, .length = 16, .floor = 4}});
  }
}

}  // namespace

void AddMovementCases(std::vector<BackendCase>& cases) {
  const auto add = [&](const char* op, const char* name, Attributes attributes, Operand x) {
    cases.push_back({op, name, std::move(attributes), {std::move(x)}, {true}, kSameBits});
  };
  add("Reshape", "flat", {{"shape", Ints{3, 105}}}, {{3, 5, 7, 3}});
  add("Reshape", "integers", {{"shape", Ints{4}}}, Index({2, 2}, 9));
  add("Transpose", "to_last", {{"perm", Ints{0, 2, 3, 1}}}, {{3, 17, 5, 7}});
  add("Transpose", "to_first", {{"perm", Ints{0, 3, 1, 2}}}, {{1, 33, 31, 3}});
  add("Transpose", "matrix", {{"perm", Ints{1, 0}}}, {{65, 33}});
  add("Transpose", "even_to_last", {{"perm", Ints{0, 2, 3, 1}}}, {{2, 24, 10, 14}});
  add("Transpose", "even_to_first", {{"perm", Ints{0, 3, 1, 2}}}, {{2, 10, 14, 72}});
  add("Transpose", "around_the_middle", {{"perm", Ints{0, 3, 2, 1}}}, {{3, 40, 5, 34}});
  add("Transpose", "wide_integers", {{"perm", Ints{1, 0}}}, Index({70, 33}, 1000));
  add("Transpose", "bools", {{"perm", Ints{1, 0}}}, Truth({132, 140}));
  add("Transpose", "odd_bools", {{"perm", Ints{1, 0}}}, Truth({33, 130}));
  add("Transpose", "same", {{"perm", Ints{0, 1}}}, {{3, 4}});
  add("Transpose", "integers", {{"perm", Ints{1, 0}}}, Index({3, 5}, 100));
  add("Expand", "channels", {{"shape", Ints{2, 5, 7, 3}}}, {{2, 1, 1, 3}});
  add("Expand", "scalar", {{"shape", Ints{33, 5}}}, {{}});
  add("Expand", "last", {{"shape", Ints{2, 3, 17}}}, {{3, 1}});
  add("Pad", "image", {{"pads", Ints{0, 1, 2, 0, 0, 3, 0, 0}}}, {{2, 5, 7, 3}});
  add("Pad", "value", {{"pads", Ints{1, 2, 0, 4}}, {"value", -1.5}}, {{4, 17}});
  AddSlices(cases);
  AddConcats(cases);
  AddReductions(cases);
  AddExtremes(cases);
  AddIndexing(cases);
  AddGridSample(cases);
  AddLongLines(cases);
  AddSoftmax(cases);
}

}  // namespace wsi
