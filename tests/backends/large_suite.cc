// Every kind of operator on tensors of more than 2^31 elements, held against the fp64
// reference where elements and bytes pass 2^31 and 2^32, at the beginning and at the end.
// Numbers are functions of their place, so that nothing large lies on the host.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"
#include "tests/backends/large_memory.h"

namespace wsi {

void PrintTo(const NamedLargeCase& large, std::ostream* out) { *out << large.name; }

namespace {

// Fresh in every run unless WSI_TEST_SEED says otherwise.
int64_t RunSeed() {
  static const int64_t seed = TestSeed(static_cast<int64_t>(std::random_device()() % 1000000));
  return seed;
}

class Large : public testing::TestWithParam<NamedLargeCase> {};

TEST_P(Large, AgreesWithReference) {
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", RunSeed()));
  auto backend = MakeBackendUnderTest();
  if (!backend) GTEST_SKIP() << "the backend's device is not there";
  const Scale scale = ScaleUnderTest();
  const LargeCase large = GetParam().make(scale);
  LargeRunner runner(std::move(backend), RunSeed());
  const LargeOutcome outcome = runner.Run(large, scale.mark);
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  fmt::print("{} {}: {}, {:.1f} ms, {:.0f} GB/s\n", large.op, GetParam().name,
             FormatBytes(outcome.bytes), outcome.ms,
             static_cast<double>(outcome.bytes) / outcome.ms / 1e6);
}

// Of a result that is as it should be, one element is changed: the last, and those at which
// elements and bytes pass the mark.
TEST(LargeHarness, FindsWhatIsWrong) {
  auto backend = MakeBackendUnderTest();
  if (!backend) GTEST_SKIP() << "the backend's device is not there";
  const Scale scale = ScaleUnderTest();
  LargeRunner runner(std::move(backend), RunSeed());
  LargeCase large;
  large.op = "Reshape";
  const Shape x = scale.Image(24);
  large.attributes = {{"shape", std::vector<int64_t>{1, x[1], x[2] * x[3]}}};
  large.inputs = {{x, Fill::kSpread, 0, DType::kF16}};
  large.window = {{1, 1}};
  const auto types = OutputTypes(large);
  ASSERT_TRUE(types.ok());
  LargeOperands operands;
  const LargeOutcome outcome = runner.Launch(large, *types, operands);
  if (!outcome.skipped.empty()) GTEST_SKIP() << outcome.skipped;
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.message();
  const int64_t count = x.ElementCount();
  for (const int64_t at : {int64_t{0}, scale.mark / 2, scale.mark, count - 1}) {
    EXPECT_TRUE(runner.Check(large, *types, operands, scale.mark).ok());
    std::byte* element = operands.outputs[0] + 2 * at;
    std::vector<std::byte> before(2);
    ASSERT_TRUE(runner.backend().Read(before, element).ok());
    const std::vector<std::byte> unset(2, std::byte{0xff});
    ASSERT_TRUE(runner.backend().Write(element, unset).ok());
    EXPECT_FALSE(runner.Check(large, *types, operands, scale.mark).ok()) << at;
    const auto found = FindUnset(2, operands.outputs[0], count, operands.record);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, at);
    ASSERT_TRUE(runner.backend().Write(element, before).ok());
  }
}

std::string NameOf(const testing::TestParamInfo<NamedLargeCase>& large) { return large.param.name; }

INSTANTIATE_TEST_SUITE_P(Movement, Large, testing::ValuesIn(MovementLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Channels, Large, testing::ValuesIn(ChannelLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Flat, Large, testing::ValuesIn(FlatLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Library, Large, testing::ValuesIn(LibraryLargeCases()), NameOf);

}  // namespace
}  // namespace wsi
