// Every kind of operator on tensors of more than 2^31 elements, held against the fp64
// reference where elements and bytes pass 2^31 and 2^32, at the beginning and at the end.
// Numbers are functions of their place, so that nothing large lies on the host.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/backends/backend_suite.h"
#include "tests/backends/large_launch.h"

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

std::string NameOf(const testing::TestParamInfo<NamedLargeCase>& large) { return large.param.name; }

INSTANTIATE_TEST_SUITE_P(Movement, Large, testing::ValuesIn(MovementLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Channels, Large, testing::ValuesIn(ChannelLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Flat, Large, testing::ValuesIn(FlatLargeCases()), NameOf);
INSTANTIATE_TEST_SUITE_P(Library, Large, testing::ValuesIn(LibraryLargeCases()), NameOf);

}  // namespace
}  // namespace wsi
