#include "runtime/calibrate/calibrate.h"

#include <gtest/gtest.h>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/timing/rates.h"
#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

TEST(Calibrate, MeasuresTheCpu) {
  const TempFolder folder;
  const auto alone = MakeSingleRank();
  const auto backend = MakeCpuBackend({.threads = 1});
  plan::Rates otherwise;
  const Result<plan::Rates> calibration = Calibrate(
      *alone, backend.get(),
      {.device = "here", .spill_dir = folder.Path(""), .rounds = 1, .divisor = 16}, otherwise);
  ASSERT_TRUE(calibration.ok()) << calibration.status().message();
  const plan::Rates& rates = *calibration;
  EXPECT_TRUE(CheckRates(rates).ok()) << CheckRates(rates).message();
  EXPECT_EQ(rates.device(), "here");
  for (const char* op : {"Conv", "ConvInputGrad", "ConvWeightGrad", "Gemm"}) {
    ASSERT_TRUE(rates.operators().contains(op)) << op;
    EXPECT_GT(rates.operators().at(op).flops_fp32(), 0) << op;
  }
  EXPECT_GT(rates.operators().at("Conv").vector_flops(), 0);
  // A convolution is worth more flops a second than a depthwise one.
  EXPECT_GT(rates.operators().at("Conv").flops_fp32(), rates.operators().at("Conv").vector_flops());
  EXPECT_EQ(folder.Count(), 0U);  // The file had no name.
}

TEST(Calibrate, TheFileIsThatOfAnotherWhereItIsNotMeasured) {
  const auto alone = MakeSingleRank();
  const auto backend = MakeCpuBackend({.threads = 1});
  const plan::Rates otherwise = BuiltInRates("v100").value();
  const Result<plan::Rates> calibration =
      Calibrate(*alone, backend.get(), {.rounds = 1, .divisor = 32}, otherwise);
  ASSERT_TRUE(calibration.ok()) << calibration.status().message();
  const plan::Rates& rates = *calibration;
  EXPECT_EQ(rates.read_bytes(), otherwise.read_bytes());
  EXPECT_EQ(rates.write_bytes(), otherwise.write_bytes());
}

TEST(Calibrate, AFolderThatIsMissingIsAnError) {
  const auto alone = MakeSingleRank();
  const auto backend = MakeCpuBackend({.threads = 1});
  const Result<plan::Rates> calibration =
      Calibrate(*alone, backend.get(), {.spill_dir = "/no/such/folder", .rounds = 1, .divisor = 32},
                BuiltInRates("cpu").value());
  EXPECT_FALSE(calibration.ok());
}

}  // namespace
}  // namespace wsi
