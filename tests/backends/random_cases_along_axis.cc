#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

RandomCase Reduction(std::string_view op, Dice& dice) {
  const Shape x = dice.AnyShape(0, 4);
  const Attributes attributes = {{"axes", dice.Axes(x.rank())}, {"keepdims", dice.Flag()}};
  if (op == "ReduceMean") return {{{}, {}, attributes, {{x, Fill::kWhole}}, {0}}, Slope::kLinear};
  if (op == "ReduceSum") return {{{}, {}, attributes, {{x, Fill::kWhole}}, {0}}, Slope::kExact};
  if (op == "ReduceProd") {
    // Zeros at times: the rule for them is another one.
    const Fill fill = dice.OneIn(3) ? Fill::kTies : Fill::kPositive;
    return {{{}, {}, attributes, {{x, fill}}, {0}}, Slope::kSmooth};
  }
  return {{{}, {}, attributes, {{x, Fill::kDistinct}}, {0}}, Slope::kExact};
}

RandomCase SoftmaxCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  return {{{}, {}, {{"axis", dice.Between(0, x.rank() - 1)}}, {{x}}, {0}}, Slope::kSmooth};
}

RandomCase CumSumCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const Attributes attributes = {{"axis", dice.Between(0, x.rank() - 1)},
                                 {"exclusive", dice.Flag()},
                                 {"reverse", dice.Flag()}};
  return {{{}, {}, attributes, {{x, Fill::kWhole}}, {0}}, Slope::kExact};
}

RandomCase TopKCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const int64_t axis = dice.Between(0, x.rank() - 1);
  const Attributes attributes = {
      {"axis", axis}, {"k", dice.Between(1, x[static_cast<int>(axis)])}, {"largest", dice.Flag()}};
  return {{{}, {}, attributes, {{x, Fill::kDistinct}}, {0}, static_cast<int>(dice.Between(1, 2))},
          Slope::kExact};
}

}  // namespace

void AddAlongAxisDraws(std::vector<RandomOp>& ops) {
  for (const char* op : {"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"}) {
    ops.push_back({op, Reduction});
  }
  for (const char* op : {"LogSoftmax", "Softmax"}) ops.push_back({op, SoftmaxCase});
  ops.push_back({"CumSum", CumSumCase});
  ops.push_back({"TopK", TopKCase});
}

}  // namespace wsi
