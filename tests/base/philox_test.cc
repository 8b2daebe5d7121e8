#include "runtime/base/philox.h"

#include <gtest/gtest.h>

#include <cmath>

namespace wsi {
namespace {

// The philox4x32 vectors of ten rounds in Random123's kat_vectors, which belongs to
// the paper.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformStaysInItsInterval) {
  EXPECT_EQ(UniformFloat(0), 0.0F);
  EXPECT_LT(UniformFloat(0xffffffff), 1.0F);
  EXPECT_EQ(UniformFloat(0x80000000), 0.5F);
}

TEST(Philox, StreamsDependOnEverything) {
  const PhiloxStream stream(1, 2, 3);
  EXPECT_EQ(stream.Word(6), stream.Block(1)[2]);
  EXPECT_NE(stream.Word(0), PhiloxStream(2, 2, 3).Word(0));
  EXPECT_NE(stream.Word(0), PhiloxStream(int64_t{1} << 32 | 1, 2, 3).Word(0));
  EXPECT_NE(stream.Word(0), PhiloxStream(1, 3, 3).Word(0));
  EXPECT_NE(stream.Word(0), PhiloxStream(1, 2, 4).Word(0));
  EXPECT_NE(stream.Word(0), stream.Word(int64_t{1} << 34));  // The high half counts.
}

TEST(Philox, UniformHasTheMomentsOfItsDistribution) {
  const PhiloxStream stream(42, 0, 0);
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = static_cast<double>(stream.Uniform(i));
    sum += u;
    squares += u * u;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount - mean * mean, 1.0 / 12, 2e-3);
}

}  // namespace
}  // namespace wsi
