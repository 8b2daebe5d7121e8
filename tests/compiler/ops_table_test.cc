#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "compiler/ops/op_def.h"
#include "compiler/ops/op_docs.h"

namespace wsi {
namespace {

TEST(OpTable, IsSortedWithoutDuplicates) {
  const auto ops = AllOps();
  for (size_t i = 1; i < ops.size(); ++i) EXPECT_LT(ops[i - 1]->name, ops[i]->name);
}

TEST(OpTable, FindsEveryOperatorAndNoOther) {
  for (const OpDef* op : AllOps()) EXPECT_EQ(FindOp(op->name), op) << op->name;
  EXPECT_EQ(FindOp("Convolution"), nullptr);
  EXPECT_EQ(FindOp(""), nullptr);
}

TEST(OpTable, EveryOperatorIsComplete) {
  for (const OpDef* op : AllOps()) {
    SCOPED_TRACE(op->name);
    EXPECT_FALSE(op->summary.empty());
    EXPECT_NE(op->infer, nullptr);
    EXPECT_EQ(op->cost != nullptr, op->lowers_to == LowersTo::kLaunch);
    EXPECT_NE(op->gradient.build == nullptr, op->gradient.none_because.empty());
    EXPECT_LE(0, op->min_inputs);
    EXPECT_TRUE(op->max_inputs == -1 || op->max_inputs >= op->min_inputs);
    EXPECT_LE(op->lowers_to == LowersTo::kLaunch ? 1 : 0, op->min_outputs);
    EXPECT_TRUE(op->max_outputs == -1 || op->max_outputs >= op->min_outputs);
  }
}

TEST(OpTable, InPlacePairsAndWeightsAreOperands) {
  for (const OpDef* op : AllOps()) {
    SCOPED_TRACE(op->name);
    for (const auto& [output, input] : op->in_place) {
      EXPECT_TRUE(output >= 0 && (op->max_outputs == -1 || output < op->max_outputs));
      EXPECT_TRUE(input >= 0 && input < op->max_inputs);
    }
    if (op->layout_weight >= 0) {
      EXPECT_LT(op->layout_weight, op->max_inputs);
      EXPECT_EQ(op->layout, LayoutRule::kChannelsLast);
    }
  }
}

TEST(OpTable, HalfPrecisionExceptionsAreOfMatrixOperators) {
  for (const OpDef* op : AllOps()) {
    SCOPED_TRACE(op->name);
    for (const int input : op->float32_inputs) {
      EXPECT_TRUE(input >= 0 && input < op->max_inputs);
    }
    if (op->half_sum || !op->float32_inputs.empty()) {
      EXPECT_EQ(op->half, HalfPolicy::kMatrix);
    }
  }
}

TEST(OpTable, EveryGradientOperatorIsOurs) {
  for (const OpDef* op : AllOps()) {
    if (op->name.ends_with("Grad")) {
      EXPECT_FALSE(op->is_onnx) << op->name;
    }
  }
}

TEST(OperatorTable, HasOneRowPerOperatorWithSixCells) {
  const std::string table = OperatorTable();
  EXPECT_EQ(static_cast<size_t>(std::count(table.begin(), table.end(), '\n')), AllOps().size() + 2);
  for (size_t begin = 0, end = 0; begin < table.size(); begin = end + 1) {
    end = table.find('\n', begin);
    const std::string row = table.substr(begin, end - begin);
    int bars = 0;
    for (size_t i = 0; i < row.size(); ++i) bars += row[i] == '|' && (i == 0 || row[i - 1] != '\\');
    EXPECT_EQ(bars, 7) << row;
  }
  EXPECT_THAT(table, testing::HasSubstr("| `Relu` | ONNX | x -> max(x, 0) | yes | row by row |"));
  EXPECT_THAT(table, testing::HasSubstr("none: second derivatives are not taken"));
}

}  // namespace
}  // namespace wsi
