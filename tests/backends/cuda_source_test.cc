// The CUDA text of pointwise kernels compiles for every operator, type and layout. NVRTC
// needs no GPU.
#include <gtest/gtest.h>

#include <array>

#include "runtime/backends/cuda/libraries.h"
#include "runtime/backends/cuda/pointwise_source.h"

namespace wsi::cuda {
namespace {

// NVRTC's log; empty where the text compiles.
std::string Compile(const NvrtcLibrary& nvrtc, const std::string& source) {
  nvrtcProgram program = nullptr;
  if (nvrtc.nvrtcCreateProgram(&program, source.c_str(), "test.cu", 0, nullptr, nullptr) !=
      NVRTC_SUCCESS) {
    return "no program";
  }
  const std::array<const char*, 2> options = {"--gpu-architecture=sm_90", "--std=c++17"};
  const nvrtcResult result = nvrtc.nvrtcCompileProgram(program, 2, options.data());
  std::string log;
  if (result != NVRTC_SUCCESS) {
    size_t size = 0;
    nvrtc.nvrtcGetProgramLogSize(program, &size);
    log.assign(size, ' ');
    nvrtc.nvrtcGetProgramLog(program, log.data());
  }
  nvrtc.nvrtcDestroyProgram(&program);
  return log;
}

class PointwiseText : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = NvrtcLibrary::Open();
    if (!opened.ok()) GTEST_SKIP() << opened.status().message();
    nvrtc_ = std::make_unique<NvrtcLibrary>(std::move(opened).value());
  }
  void ExpectCompiles(const Result<std::string>& source) {
    ASSERT_TRUE(source.ok()) << source.status().message();
    EXPECT_EQ(Compile(*nvrtc_, *source), "") << *source;
  }
  std::unique_ptr<NvrtcLibrary> nvrtc_;
};

// Every operator that computes in `dtype`, one step each.
PointwiseProgram AllSteps(DType computed) {
  PointwiseProgram program;
  for (const PointwiseOp& op : AllPointwiseOps()) {
    PointwiseProgram one;
    std::array<PointwiseOperand, 3> operands;
    for (size_t i = 0; i < 3; ++i) operands[i].index = static_cast<int>(i);
    one.steps.push_back(
        MakePointwiseStep(op, std::span(operands).first(static_cast<size_t>(op.operands)), {}));
    const PointwiseSource source = {.program = &one,
                                    .inputs = {computed, computed, computed},
                                    .results = {{0, computed}},
                                    .computed = computed,
                                    .still = {false, false, false}};
    if (MakePointwiseSource(source).ok()) program.steps.push_back(one.steps[0]);
  }
  return program;
}

TEST_F(PointwiseText, CompilesEveryOperator) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kI64, DType::kI32, DType::kU64}) {
    SCOPED_TRACE(DTypeName(dtype));
    const PointwiseProgram program = AllSteps(dtype);
    if (IsFloat(dtype)) {
      EXPECT_EQ(program.steps.size(), AllPointwiseOps().size());
    }
    EXPECT_GT(program.steps.size(), 15U);
    PointwiseSource source = {.program = &program,
                              .inputs = {dtype, dtype, dtype},
                              .results = {},
                              .computed = dtype,
                              .still = {false, false, false}};
    for (size_t i = 0; i < program.steps.size(); ++i) {
      source.results.push_back({static_cast<int>(i), dtype});
    }
    ExpectCompiles(MakePointwiseSource(source));
  }
}

TEST_F(PointwiseText, CompilesEveryCast) {
  constexpr std::array kTypes = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI64,
                                 DType::kI32, DType::kI16, DType::kI8,  DType::kU64,  DType::kU32,
                                 DType::kU16, DType::kU8,  DType::kBool};
  for (const DType from : kTypes) {
    for (const DType to : kTypes) {
      SCOPED_TRACE(std::string(DTypeName(from)) + " to " + std::string(DTypeName(to)));
      const PointwiseSource source = {.program = nullptr,
                                      .inputs = {from},
                                      .results = {{0, to}},
                                      .computed = DType::kF32,
                                      .width = 4,
                                      .still = {false}};
      // One text for each type read and written: the others differ in nothing else.
      if (from != to && from != DType::kF32 && to != DType::kF16) continue;
      ExpectCompiles(MakePointwiseSource(source));
    }
  }
}

TEST_F(PointwiseText, CompilesProgramsOfSeveralResultsAndSums) {
  const auto program = ParsePointwiseProgram("t0 = Mul(x0, x1); t1 = Greater(t0, 0.5)", 2);
  ASSERT_TRUE(program.ok());
  const PointwiseSource source = {.program = &*program,
                                  .inputs = {DType::kF16, DType::kF32},
                                  .results = {{1, DType::kBool}, {0, DType::kF16}},
                                  .computed = DType::kF32,
                                  .width = 8,
                                  .still = {false, true},
                                  .rank = 3};
  ExpectCompiles(MakePointwiseSource(source));
  for (const int columns : {1, 32}) {
    const SumSource sums = {.program = &*program,
                            .inputs = {DType::kF16, DType::kF32},
                            .results = {{0, DType::kF32}, {0, DType::kBF16}},
                            .computed = DType::kF32,
                            .kept_rank = 2,
                            .summed_rank = 1,
                            .columns = columns};
    ExpectCompiles(MakeSumSource(sums));
  }
}

}  // namespace
}  // namespace wsi::cuda
