#include "runtime/plan/show_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plan/small_plan.h"

namespace wsi {
namespace {

using testing::HasSubstr;

TEST(ShowPlan, Summary) {
  EXPECT_EQ(ShowPlan(MakeSmallPlan(), {}),
            R"(plan of small.onnx by wsic test
device cpu, precision fp32
peak: device 2.3 KiB (2328 bytes), host 24 B, file 0 B
training: loss mse, optimizer sgd, learning rate 0.5, accumulation 1, classes 0
persistent
  parameters            1 tensors              6 elements         24 B
  state                 1 tensors              1 elements          4 B
  constants             1 tensors              6 elements         24 B
program train: 9 instructions, 6 forward, 1 backward, 2 update, 0.000 GFLOP
  input    x f32[2,3]
  target   t f32[2,3]
  scalar   lr f32[]
  loss     loss f32[]
program infer: 3 instructions, 3 forward, 0.000 GFLOP
  input    x f32[2,3]
  output   out f32[6]
)");
}

TEST(ShowPlan, Schedule) {
  const std::string text = ShowPlan(MakeSmallPlan(), {.schedule = true});
  EXPECT_THAT(text, HasSubstr(R"(
schedule of train
     0 compute forward  %h:f32[2,3] = Mul(%x:f32[2,3], %w:f32[2,3])  # Mul_node
     1 out     forward  copy buffer 3 (device) to 5 (host), 24 B  # copy_x
     2 compute forward  %d:f32[2,3] = Sub(%h:f32[2,3], %t:f32[2,3])  # Sub_node
     3 compute forward  %loss:f32[] = HalfSumSquares(%d:f32[2,3], -) workspace=64 B  # HalfSumSquares_node
     4 compute forward  %total.new:f32[] = Add(%total:f32[], %loss:f32[])  # Add_node
     5 in      forward  copy buffer 5 (host) to 6 (device), 24 B after 0,1  # copy_x
     6 compute backward %w.grad:f32[2,3] = Mul(%d:f32[2,3], %x.back:f32[2,3]) after 5  # Mul_node
     7 compute update   %w.new:f32[2,3] = SgdUpdate(%w:f32[2,3], %w.grad:f32[2,3], %lr:f32[])  # SgdUpdate_node
     8 compute update   barrier  # end
)"));
  EXPECT_THAT(text, HasSubstr("Reshape(%sum:f32[2,3]) shape=[6]  # Reshape_node"));
}

TEST(ShowPlan, MemoryAndOps) {
  const std::string text = ShowPlan(MakeSmallPlan(), {.memory = true, .ops = true});
  EXPECT_THAT(
      text,
      HasSubstr("      3 train   device              768              24       0       2  x\n"));
  EXPECT_THAT(
      text,
      HasSubstr("train   device             2048              64       3       4  workspace\n"));
  EXPECT_THAT(
      text,
      HasSubstr("      0 all     device                0              24       0       0  w\n"));
  EXPECT_THAT(text, HasSubstr("Mul                                 2        0.000        0.000\n"));
}

TEST(ShowPlan, Json) {
  const std::string text = PlanToJson(MakeSmallPlan());
  EXPECT_EQ(text, PlanToJson(MakeSmallPlan()));
  EXPECT_THAT(text, HasSubstr("\"device_peak_bytes\": 2328"));
  EXPECT_THAT(text, HasSubstr("\"op\": \"SgdUpdate\""));
}

}  // namespace
}  // namespace wsi
