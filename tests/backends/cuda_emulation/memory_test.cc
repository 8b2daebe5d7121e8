// Memory that the device or the system does not give, in the emulated runtime, which has
// 8 GiB and pins at most 64 MiB at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/backends/cuda/cuda_backend.h"

namespace wsi {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Bytes kMiB = Bytes{1} << 20;

TEST(CudaMemory, WhatTheDeviceDoesNotHaveNamesTheSizes) {
  const auto backend = MakeCudaBackend({}).value();
  const auto arena = backend->AllocateDevice(9000 * kMiB);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(ExitCode(arena.status().code()), 4);
  EXPECT_THAT(arena.status().message(),
              AllOf(HasSubstr("8.8 GiB"), HasSubstr("8.0 GiB free"), HasSubstr("--device-mem")));
  EXPECT_TRUE(backend->AllocateDevice(kMiB).ok());
}

TEST(CudaMemory, AFailedPinNamesTheSizes) {
  const auto backend = MakeCudaBackend({}).value();
  const auto arena = backend->AllocateHost(65 * kMiB);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(ExitCode(arena.status().code()), 4);
  EXPECT_THAT(arena.status().message(), AllOf(HasSubstr("65.0 MiB cannot be pinned"),
                                              HasSubstr("available"), HasSubstr("--host-mem")));
  EXPECT_TRUE(backend->AllocateHost(kMiB).ok());
}

TEST(CudaMemory, ManagedMemoryThatCannotBeHadNamesTheSizes) {
  const auto backend = MakeCudaBackend({}).value();
  const auto arena = backend->AllocateManaged(9000 * kMiB);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(ExitCode(arena.status().code()), 4);
  EXPECT_THAT(arena.status().message(),
              AllOf(HasSubstr("managed memory needs 8.8 GiB"), HasSubstr("8.0 GiB free")));
}

TEST(CudaMemory, WhatThereIsIsMeasured) {
  const auto backend = MakeCudaBackend({}).value();
  const auto memory = backend->MeasureDevice();
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->total, 8192 * kMiB);
  EXPECT_EQ(memory->used_before, 0);
}

}  // namespace
}  // namespace wsi
