#include "runtime/base/pointwise_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

namespace wsi {
namespace {

using Kind = PointwiseOperand::Kind;

TEST(PointwiseProgramTest, TableIsSorted) {
  const auto ops = AllPointwiseOps();
  EXPECT_TRUE(std::is_sorted(ops.begin(), ops.end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const PointwiseOp& op : ops) EXPECT_EQ(FindPointwiseOp(op.name), &op);
  EXPECT_EQ(FindPointwiseOp("Conv"), nullptr);
}

TEST(PointwiseProgramTest, TextParsesBack) {
  const std::string text =
      "t0 = Mul(x0, x12); t1 = Clip(t0, min=-inf, max=6); t2 = Add(t1, 0.1); "
      "t3 = Where(t0, t2, -1.5e-30)";
  const auto program = ParsePointwiseProgram(text, 13);
  ASSERT_TRUE(program.ok()) << program.status().message();
  const auto& steps = program.value().steps;
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].operands[1], (PointwiseOperand{.kind = Kind::kInput, .index = 12}));
  EXPECT_EQ(steps[1].numbers[0], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(steps[1].numbers[1], 6.0);
  EXPECT_EQ(steps[2].operands[1], (PointwiseOperand{.kind = Kind::kNumber, .number = 0.1}));
  const std::string printed = PrintPointwiseProgram(program.value());
  EXPECT_EQ(printed,
            "t0 = Mul(x0, x12); t1 = Clip(t0, max=6); t2 = Add(t1, 0.1); "
            "t3 = Where(t0, t2, -1.5e-30)");
  const auto again = ParsePointwiseProgram(printed, 13);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value(), program.value());
}

TEST(PointwiseProgramTest, StepsTakeNumbersFromAttributes) {
  const Attributes attributes = {{"alpha", 0.25}, {"channels_last", int64_t{1}}};
  const PointwiseOperand x[] = {{.kind = Kind::kInput, .index = 0}};
  const PointwiseStep step = MakePointwiseStep(*FindPointwiseOp("HardSigmoid"), x, attributes);
  EXPECT_EQ(PrintPointwiseProgram({{step}}), "t0 = HardSigmoid(x0, alpha=0.25)");
}

TEST(PointwiseProgramTest, RefusesWhatIsWrongAndNamesTheStep) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"", "step 0: wants 't0 = ...'"},
      {"t0 = Relu(x0);; ", "step 1: wants 't1 = ...'"},
      {"t1 = Relu(x0)", "step 0: wants 't0 = ...'"},
      {"t0 = Conv(x0)", "step 0: no operator 'Conv'"},
      {"t0 = Relu", "step 0: wants '(' and ')'"},
      {"t0 = Relu(x0", "step 0: wants '(' and ')'"},
      {"t0 = Relu()", "step 0: Relu takes 1 operands, not 0"},
      {"t0 = Relu(x0, x1)", "step 0: has too many operands"},
      {"t0 = Add(x0, t0)", "step 0: operand 't0' is no input, earlier step or number"},
      {"t0 = Relu(x2)", "step 0: operand 'x2' of 2 inputs"},
      {"t0 = Relu(x-1)", "step 0: operand 'x-1' of 2 inputs"},
      {"t0 = Relu(nan)", "step 0: operand 'nan' is no input, earlier step or number"},
      {"t0 = Relu(x99999999999)", "step 0: operand 'x99999999999' of 2 inputs"},
      {"t0 = Relu(x0, alpha=1)", "step 0: Relu has no attribute 'alpha'"},
      {"t0 = Relu(x0, =1)", "step 0: Relu has no attribute ''"},
      {"t0 = Elu(x0, alpha=one)", "step 0: attribute 'alpha=one' wants a number"},
  };
  for (const Case& c : cases) {
    const auto program = ParsePointwiseProgram(c.text, 2);
    ASSERT_FALSE(program.ok()) << c.text;
    EXPECT_EQ(program.status().code(), ErrorCode::kInvalidInput);
    EXPECT_EQ(program.status().message(), std::string("pointwise program, ") + c.message) << c.text;
  }
}

TEST(PointwiseProgramTest, LimitsItsSize) {
  std::string text = "t0 = Relu(x0)";
  for (int i = 1; i <= PointwiseProgram::kMaxSteps; ++i) {
    text += "; t" + std::to_string(i) + " = Relu(x0)";
  }
  EXPECT_FALSE(ParsePointwiseProgram(text, 1).ok());
  EXPECT_TRUE(ParsePointwiseProgram(text.substr(0, text.rfind(';')), 1).ok());
  EXPECT_FALSE(ParsePointwiseProgram("t0 = Relu(x0)", PointwiseProgram::kMaxInputs + 1).ok());
}

}  // namespace
}  // namespace wsi
