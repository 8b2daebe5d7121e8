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

void AddExtremes(std::vector<GradientCase>& cases) {
  for (const char* op : {"ReduceMax", "ReduceMin", "ReduceProd"}) {
    for (const int64_t keep : {0, 1}) {
      const std::string kept = keep == 1 ? "_kept" : "";
      const auto add = [&](const std::string& name, Ints axes) {
        const bool product = std::string_view(op) == "ReduceProd";
        const Operand x{{2, 3, 4}, product ? Fill::kPositive : Fill::kDistinct};
        cases.push_back({op, name + kept, {{"axes", axes}, {"keepdims", keep}}, {x}, {0}});
      };
      add("last", {2});
      add("outer", {0, 2});
      add("all", {0, 1, 2});
    }
  }
  const Attributes last = {{"axes", Ints{1}}};
  cases.push_back({"ReduceProd", "zeros", last, {{{40, 3}, Fill::kTies}}, {0}});
}

void AddIndexing(std::vector<GradientCase>& cases) {
  const Operand x{{3, 4, 5}};
  for (const int64_t axis : {0, 1, 2}) {
    const std::string name = "axis" + std::to_string(axis);
    const Attributes attributes = {{"axis", axis}};
    cases.push_back({"Gather", name, attributes, {x, Index({7}, 3)}, {0}});
    cases.push_back({"GatherElements", name, attributes, {x, Index({3, 4, 5}, 3)}, {0}});
    cases.push_back({"ScatterElements",
                     name + "_add",
                     {{"axis", axis}, {"reduction", std::string("add")}},
                     {x, Index({3, 4, 5}, 3), x},
                     {0, 2}});
    cases.push_back({"CumSum", name, attributes, {x}, {0}});
    cases.push_back({"CumSum",
                     name + "_exclusive_reverse",
                     {{"axis", axis}, {"exclusive", int64_t{1}}, {"reverse", int64_t{1}}},
                     {x},
                     {0}});
    const Operand distinct{{3, 4, 5}, Fill::kDistinct};
    cases.push_back({"TopK", name, {{"axis", axis}, {"k", int64_t{2}}}, {distinct}, {0}});
    cases.push_back({"TopK",
                     name + "_smallest",
                     {{"axis", axis}, {"k", int64_t{3}}, {"largest", int64_t{0}}},
                     {distinct},
                     {0},
                     2});
  }
  for (const int64_t axis : {0, 1, 2}) {
    const Operand weights{{6, 3}, Fill::kSpread, 0, DType::kF64};
    cases.push_back({"Resample",
                     "axis" + std::to_string(axis),
                     {{"axis", axis}},
                     {x, Index({6, 3}, 3), weights},
                     {0}});
  }
  // One index along the axis: no element is written twice.
  cases.push_back({"ScatterElements",
                   "overwrite",
                   {{"axis", int64_t{1}}},
                   {x, Index({3, 1, 4}, 4), {{3, 1, 4}}},
                   {0, 2}});
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
  AddExtremes(cases);
  AddIndexing(cases);
  AddSoftmax(cases);
}

}  // namespace wsi
