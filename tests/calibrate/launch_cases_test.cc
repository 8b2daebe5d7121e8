#include "runtime/calibrate/launch_cases.h"

#include <gtest/gtest.h>

#include <set>

#include "compiler/ops/op_def.h"
#include "tests/compiler/op_fixture.h"

namespace wsi {
namespace {

std::vector<Operand> OperandsOf(const LaunchCase& c) {
  std::vector<Operand> operands;
  for (const OperandSpec& input : c.inputs) {
    operands.push_back({{input.dtype, input.shape}, nullptr, input.present});
  }
  return operands;
}

// The compiler counts the same work, and gives the outputs the same types.
TEST(LaunchCases, AgreeWithTheOperatorsDefinitions) {
  for (const DType type : {DType::kF32, DType::kBF16}) {
    for (const LaunchCase& c : LaunchCases(type)) {
      SCOPED_TRACE(c.op + " " + c.inputs[0].shape.ToString());
      const OpDef* def = FindOp(c.op);
      ASSERT_NE(def, nullptr);
      OneNode one(c.op, OperandsOf(c), c.attributes, static_cast<int>(c.outputs.size()));
      const Status inferred = InferTypes(one.graph(), one.node());
      EXPECT_TRUE(inferred.ok()) << inferred.message();
      if (!inferred.ok()) continue;
      for (size_t i = 0; i < c.outputs.size(); ++i) {
        const Value& output = one.view().output(static_cast<int>(i));
        EXPECT_EQ(output.dtype, c.outputs[i].dtype) << i;
        EXPECT_EQ(output.shape, c.outputs[i].shape) << i;
      }
      const Cost cost = def->cost(one.view());
      EXPECT_DOUBLE_EQ(cost.flops, c.flops);
      EXPECT_DOUBLE_EQ(cost.bytes, c.bytes);
      EXPECT_EQ(def->is_matrix && !cost.vector_only, c.matrix);
    }
  }
}

TEST(LaunchCases, CoverWhatAStepSpendsItsTimeIn) {
  std::set<std::string> ops;
  for (const LaunchCase& c : LaunchCases(DType::kBF16)) ops.insert(c.op);
  for (const char* op :
       {"Conv", "ConvInputGrad", "ConvWeightGrad", "BatchNormStats", "BatchNormApply",
        "BatchNormGradStats", "BatchNormGradApply", "Relu", "Add", "MaxPool", "Cast", "Gemm"}) {
    EXPECT_TRUE(ops.contains(op)) << op;
  }
}

}  // namespace
}  // namespace wsi
