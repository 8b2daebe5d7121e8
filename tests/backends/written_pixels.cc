// Pixels that a backend writes are the numbers that pixels.h says, to the bit.
#include <gtest/gtest.h>

#include <vector>

#include "runtime/base/pixels.h"
#include "tests/backends/backend_suite.h"

namespace wsi {
namespace {

class WrittenPixels : public testing::TestWithParam<DType> {};

TEST_P(WrittenPixels, AreTheNumbersOfPixels) {
  const std::unique_ptr<Backend> backend = MakeBackendUnderTest();
  if (backend == nullptr) GTEST_SKIP() << "no device";
  const DType dtype = GetParam();
  const Bytes value_bytes = DTypeBytes(dtype);
  for (const auto& [skipped, count] :
       {std::pair<Bytes, Bytes>{0, 3 * 100'000}, {0, 1}, {16, 47}, {3, 3 * 1000}, {1, 0}}) {
    SCOPED_TRACE(testing::Message() << skipped << " + " << count);
    const auto host = backend->AllocateHost(skipped + count + 1);
    const auto device = backend->AllocateDevice((skipped + count + 1) * value_bytes);
    ASSERT_TRUE(host.ok() && device.ok());
    auto* pixels = reinterpret_cast<uint8_t*>((*host)->data()) + skipped;
    for (Bytes i = 0; i < count; ++i) pixels[i] = static_cast<uint8_t>(i * 37 + i / 256);
    const std::vector<std::byte> before(static_cast<size_t>((*device)->size()), std::byte{0x55});
    ASSERT_TRUE(backend->Write((*device)->data(), before).ok());
    const std::span<const uint8_t> rgb(pixels, static_cast<size_t>(count));
    const Status status =
        backend->WritePixels((*device)->data() + skipped * value_bytes, dtype, rgb);
    ASSERT_TRUE(status.ok()) << status.message();

    std::vector<std::byte> expected = before;
    NormalizePixels(rgb, dtype,
                    std::span(expected).subspan(static_cast<size_t>(skipped * value_bytes),
                                                static_cast<size_t>(count * value_bytes)));
    std::vector<std::byte> got(before.size());
    ASSERT_TRUE(backend->Read(got, (*device)->data()).ok());
    EXPECT_EQ(got, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Floats, WrittenPixels,
                         testing::Values(DType::kF32, DType::kF64, DType::kF16, DType::kBF16),
                         [](const auto& named) { return std::string(DTypeName(named.param)); });

}  // namespace
}  // namespace wsi
