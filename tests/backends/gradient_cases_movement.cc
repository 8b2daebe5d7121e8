#include "tests/backends/gradient_cases.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

Attributes SliceAttributes(Ints starts, Ints ends, Ints axes, Ints steps) {
  return {{"starts", starts}, {"ends", ends}, {"axes", axes}, {"steps", steps}};
}

void AddReductions(std::vector<GradientCase>& cases) {
  for (const char* op : {"ReduceSum", "ReduceMean"}) {
    for (const int64_t keep : {0, 1}) {
      const std::string kept = keep == 1 ? "_kept" : "";
      const auto add = [&](const std::string& name, Ints axes) {
        cases.push_back(
            {op, name + kept, {{"axes", axes}, {"keepdims", keep}}, {{{2, 3, 4}}}, {0}});
      };
      add("first", {0});
      add("middle", {1});
      add("outer", {0, 2});
      add("all", {0, 1, 2});
      add("none", {});
    }
  }
}

void AddSoftmax(std::vector<GradientCase>& cases) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const int64_t axis : {0, 1, 2}) {
      cases.push_back({op, "axis" + std::to_string(axis), {{"axis", axis}}, {{{2, 3, 4}}}, {0}});
    }
  }
}

}  // namespace

void AddMovementGradientCases(std::vector<GradientCase>& cases) {
  const Operand x{{2, 3, 4}};
  cases.push_back({"Reshape", "flat", {{"shape", Ints{6, 4}}}, {x}, {0}});
  cases.push_back({"Transpose", "cycle", {{"perm", Ints{1, 2, 0}}}, {x}, {0}});
  cases.push_back({"Transpose", "swap", {{"perm", Ints{0, 2, 1}}}, {x}, {0}});
  cases.push_back({"Expand", "new_axis", {{"shape", Ints{5, 2, 3, 4}}}, {x}, {0}});
  cases.push_back({"Expand", "middle", {{"shape", Ints{2, 3, 4}}}, {{{2, 1, 4}}}, {0}});
  cases.push_back({"Expand", "scalar", {{"shape", Ints{2, 3}}}, {{{}}}, {0}});
  cases.push_back({"Pad", "uneven", {{"pads", Ints{0, 1, 2, 1, 0, 3}}, {"value", 1.5}}, {x}, {0}});
  cases.push_back({"Slice", "window", SliceAttributes({1, 0}, {3, 2}, {1, 2}, {1, 1}), {x}, {0}});
  cases.push_back({"Slice", "steps", SliceAttributes({0, 3}, {2, -1}, {0, 2}, {1, -2}), {x}, {0}});
  cases.push_back({"Slice", "sparse", SliceAttributes({1}, {4}, {2}, {2}), {x}, {0}});
  cases.push_back({"Concat", "one", {{"axis", int64_t{1}}}, {x}, {0}});
  cases.push_back({"Concat",
                   "three",
                   {{"axis", int64_t{1}}},
                   {{{2, 3, 4}}, {{2, 1, 4}}, {{2, 5, 4}}},
                   {0, 1, 2}});
  cases.push_back({"Concat", "first_axis", {{"axis", int64_t{0}}}, {{{1, 3}}, {{2, 3}}}, {0, 1}});
  AddReductions(cases);
  AddSoftmax(cases);
}

}  // namespace wsi
