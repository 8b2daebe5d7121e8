#include "runtime/timing/launch_time.h"

#include <gtest/gtest.h>

namespace wsi {
namespace {

plan::Rates SomeRates() {
  plan::Rates rates;
  rates.set_matrix_flops_fp32(1000);
  rates.set_matrix_flops_half(4000);
  rates.set_vector_flops(100);
  rates.set_memory_bytes(50);
  rates.set_in_bytes(10);
  rates.set_out_bytes(20);
  rates.set_read_bytes(4);
  rates.set_write_bytes(2);
  rates.set_launch_seconds(0.5);
  rates.set_copy_seconds(0.25);
  return rates;
}

TEST(LaunchTime, IsARoofline) {
  const plan::Rates rates = SomeRates();
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF32, 3000, 100), 0.5 + 3);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF32, 1000, 100), 0.5 + 2);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Relu", false, DType::kF32, 300, 100), 0.5 + 3);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Reshape", false, DType::kF32, 0, 0), 0.5);
}

TEST(LaunchTime, HalfPrecisionHasItsOwnMatrixRate) {
  plan::Rates rates = SomeRates();
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF16, 8000, 0), 0.5 + 2);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kBF16, 8000, 0), 0.5 + 2);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Relu", false, DType::kF16, 300, 0), 0.5 + 3);
  rates.set_matrix_flops_half(0);  // None known: as fast as fp32.
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF16, 8000, 0), 0.5 + 8);
}

TEST(LaunchTime, AnOperatorsOwnRatesComeFirst) {
  plan::Rates rates = SomeRates();
  plan::OperatorRate& conv = (*rates.mutable_operators())["Conv"];
  conv.set_flops_fp32(500);
  conv.set_memory_bytes(25);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF32, 3000, 0), 0.5 + 6);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF32, 0, 100), 0.5 + 4);
  conv.set_vector_flops(10);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", false, DType::kF32, 60, 0), 0.5 + 6);
  // Not measured in half precision: the device's rate.
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "Conv", true, DType::kF16, 8000, 0), 0.5 + 2);
  EXPECT_DOUBLE_EQ(LaunchSeconds(rates, "ConvInputGrad", true, DType::kF32, 3000, 0), 0.5 + 3);
}

TEST(LaunchTime, CopiesHaveTheirLanesRate) {
  const plan::Rates rates = SomeRates();
  EXPECT_DOUBLE_EQ(CopySeconds(rates, plan::LANE_IN, 40), 0.25 + 4);
  EXPECT_DOUBLE_EQ(CopySeconds(rates, plan::LANE_OUT, 40), 0.25 + 2);
  EXPECT_DOUBLE_EQ(CopySeconds(rates, plan::LANE_READ, 40), 0.25 + 10);
  EXPECT_DOUBLE_EQ(CopySeconds(rates, plan::LANE_WRITE, 40), 0.25 + 20);
}

TEST(LaunchTime, ALaunchHasTheTypeOfItsFirstOperand) {
  plan::Plan plan;
  for (const DType type : {DType::kF32, DType::kBF16}) {
    plan.add_values()->set_dtype(static_cast<uint32_t>(type));
  }
  plan::Launch launch;
  launch.set_op("ConvWeightGrad");
  launch.set_matrix(true);
  launch.set_flops(8000);
  launch.add_inputs(-1);
  launch.add_inputs(1);
  launch.add_outputs(0);
  EXPECT_DOUBLE_EQ(LaunchSeconds(SomeRates(), plan, launch), 0.5 + 2);
  launch.clear_inputs();
  EXPECT_DOUBLE_EQ(LaunchSeconds(SomeRates(), plan, launch), 0.5 + 8);
}

}  // namespace
}  // namespace wsi
