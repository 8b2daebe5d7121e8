// The CPU backend's arenas, lanes and events.
#include "runtime/backends/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace wsi {
namespace {

TEST(CpuBackend, TableIsSortedAndWithoutDuplicates) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto ops = backend->SupportedOps();
  EXPECT_TRUE(std::is_sorted(ops.begin(), ops.end()));
  EXPECT_EQ(std::adjacent_find(ops.begin(), ops.end()), ops.end());
}

TEST(CpuBackend, UnknownOperatorIsNamed) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const Attributes attributes;
  const auto kernel = backend->Compile(
      {.op = "Conjure", .node = "n1", .attributes = attributes, .inputs = {}, .outputs = {}});
  ASSERT_FALSE(kernel.ok());
  EXPECT_EQ(kernel.status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(kernel.status().message(), "Conjure 'n1' on cpu: no such operator");
}

TEST(CpuBackend, ArenaIsAlignedToHugePages) {
  const auto backend = MakeCpuBackend({.threads = 1});
  auto arena = backend->AllocateDevice(3'000'001);
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*arena)->data()) % (1U << 21), 0U);
  EXPECT_EQ((*arena)->size(), 3'000'001);
  (*arena)->data()[3'000'000] = std::byte{1};
}

TEST(CpuBackend, TooLargeArenaNamesNeededAndAvailable) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto arena = backend->AllocateDevice(Bytes{1} << 60);
  ASSERT_FALSE(arena.ok());
  EXPECT_EQ(arena.status().code(), ErrorCode::kResources);
  EXPECT_THAT(arena.status().message(),
              testing::ContainsRegex("device arena needs .*TiB, available [0-9.]+ "));
}

// One lane copies in, the compute lane waits for it, another copies out.
TEST(CpuBackend, LanesFollowEvents) {
  const auto backend = MakeCpuBackend({.threads = 2});
  const Bytes bytes = 1 << 22;
  auto device = backend->AllocateDevice(bytes).value();
  auto host = backend->AllocateHost(2 * bytes).value();
  const auto compute = backend->MakeLane("compute").value();
  const auto in = backend->MakeLane("in").value();
  const auto out = backend->MakeLane("out").value();
  const Shape shape = {bytes / 4};
  const OperandSpec operand = {.present = true, .dtype = DType::kF32, .shape = shape};
  const Attributes attributes;
  const auto kernel = backend
                          ->Compile({.op = "Neg",
                                     .node = "neg",
                                     .attributes = attributes,
                                     .inputs = {&operand, 1},
                                     .outputs = {&operand, 1}})
                          .value();
  ASSERT_TRUE(backend->SetEventCount(2).ok());
  for (int step = 1; step <= 20; ++step) {
    ASSERT_TRUE(backend->ResetEvents().ok());
    float* from = reinterpret_cast<float*>(host->data());
    std::fill(from, from + bytes / 4, static_cast<float>(step));
    ASSERT_TRUE(out->Wait(1).ok());
    ASSERT_TRUE(out->Copy(host->data() + bytes, device->data(), bytes).ok());
    double copied = 0;
    ASSERT_TRUE(out->Mark(&copied).ok());
    ASSERT_TRUE(in->Copy(device->data(), host->data(), bytes).ok());
    ASSERT_TRUE(in->Record(0).ok());
    ASSERT_TRUE(compute->Wait(0).ok());
    const std::byte* input = device->data();
    std::byte* output = device->data();
    ASSERT_TRUE(compute->Launch(*kernel, {.inputs = {&input, 1}, .outputs = {&output, 1}}).ok());
    double computed = 0;
    ASSERT_TRUE(compute->Mark(&computed).ok());
    ASSERT_TRUE(compute->Record(1).ok());
    for (Lane* lane : {in.get(), out.get(), compute.get()}) ASSERT_TRUE(lane->Synchronize().ok());
    EXPECT_GT(computed, 0);
    EXPECT_GE(copied, computed);  // Taken when the lane got there, not when it was told to.
    const float* to = reinterpret_cast<const float*>(host->data() + bytes);
    EXPECT_EQ(std::count(to, to + bytes / 4, -static_cast<float>(step)), bytes / 4);
  }
}

TEST(CpuBackend, EventOutOfRangeIsAnError) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto lane = backend->MakeLane("compute").value();
  ASSERT_TRUE(backend->SetEventCount(1).ok());
  EXPECT_FALSE(lane->Record(1).ok());
  EXPECT_FALSE(lane->Wait(-1).ok());
}

}  // namespace
}  // namespace wsi
