// What the CUDA backend says where it cannot be: the machine's own case, whichever it is.
#include "runtime/backends/cuda/cuda_backend.h"

#include <gtest/gtest.h>

namespace wsi {
namespace {

TEST(CudaBackend, IsThereWhereNothingIsMissing) {
  const CudaReport report = ExamineCuda();
  const auto backend = MakeCudaBackend({});
  if (report.missing.empty()) {
    EXPECT_TRUE(backend.ok()) << backend.status().message();
    EXPECT_NE(report.device, "");
    return;
  }
  for (const std::string& missing : report.missing) EXPECT_NE(missing, "");
  if (!backend.ok()) {
    EXPECT_EQ(ExitCode(backend.status().code()), 8);
  }
}

TEST(CudaBackend, RefusesADeviceThatIsNotThere) {
  const auto backend = MakeCudaBackend({.device = 4096});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(ExitCode(backend.status().code()), 8) << backend.status().message();
}

}  // namespace
}  // namespace wsi
