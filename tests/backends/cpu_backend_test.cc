// The CPU backend's arenas, lanes and events.
#include "runtime/backends/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <latch>
#include <memory>
#include <vector>

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

class Task : public HostTask {
 public:
  explicit Task(std::function<Status()> work) : work_(std::move(work)) {}
  Status Run() override { return work_(); }

 private:
  std::function<Status()> work_;
};

// Each lane's task ends only when the other's has begun.
TEST(CpuBackend, LanesRunBesideEachOther) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto a = backend->MakeLane("compute").value();
  const auto b = backend->MakeLane("read").value();
  std::latch met(2);
  Task task([&] {
    met.arrive_and_wait();
    return Status();
  });
  ASSERT_TRUE(a->Call(task).ok());
  ASSERT_TRUE(b->Call(task).ok());
  EXPECT_TRUE(a->Synchronize().ok());
  EXPECT_TRUE(b->Synchronize().ok());
}

TEST(CpuBackend, LanesTakeMoreThanTheyHold) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto a = backend->MakeLane("compute").value();
  const auto b = backend->MakeLane("in").value();
  constexpr int kItems = 5000;
  ASSERT_TRUE(backend->SetEventCount(kItems).ok());
  std::vector<int> seen;
  std::vector<Task> tasks;
  tasks.reserve(kItems);
  for (int i = 0; i < kItems; ++i) {
    tasks.emplace_back([&seen, i] {
      seen.push_back(i);
      return Status();
    });
  }
  for (int i = 0; i < kItems; ++i) {  // In turns, each behind the other's last.
    Lane& lane = i % 2 == 0 ? *a : *b;
    EXPECT_TRUE(i == 0 || lane.Wait(i - 1).ok());
    ASSERT_TRUE(lane.Call(tasks[static_cast<size_t>(i)]).ok());
    ASSERT_TRUE(lane.Record(i).ok());
  }
  EXPECT_TRUE(a->Synchronize().ok());
  EXPECT_TRUE(b->Synchronize().ok());
  ASSERT_EQ(seen.size(), size_t{kItems});
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

// Behind an error a lane works no more, but nobody waits for it in vain.
TEST(CpuBackend, AnErrorIsToldOnceAndStopsItsLaneOnly) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const auto a = backend->MakeLane("compute").value();
  const auto b = backend->MakeLane("write").value();
  ASSERT_TRUE(backend->SetEventCount(1).ok());
  int ran = 0;
  Task fails([] { return IoError("the disk is gone"); });
  Task counts([&] {
    ++ran;
    return Status();
  });
  ASSERT_TRUE(b->Call(fails).ok());
  ASSERT_TRUE(b->Call(counts).ok());
  ASSERT_TRUE(b->Record(0).ok());
  ASSERT_TRUE(a->Wait(0).ok());
  ASSERT_TRUE(a->Call(counts).ok());
  EXPECT_TRUE(a->Synchronize().ok());
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(b->Synchronize().message(), "the disk is gone");
  EXPECT_TRUE(b->Synchronize().ok());
  ASSERT_TRUE(b->Call(counts).ok());
  EXPECT_TRUE(b->Synchronize().ok());
  EXPECT_EQ(ran, 2);
}

// Memory that an arena has not touched yet counts all the same.
TEST(CpuBackend, ArenasAddUp) {
  const auto backend = MakeCpuBackend({.threads = 1});
  const Bytes physical = Bytes{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  std::vector<std::unique_ptr<Arena>> arenas;
  Bytes total = 0;
  for (const Bytes size = physical / 8; total <= physical; total += size) {
    auto arena = backend->AllocateHost(size);
    if (!arena.ok()) {
      EXPECT_EQ(arena.status().code(), ErrorCode::kResources);
      break;
    }
    arenas.push_back(std::move(arena).value());
  }
  EXPECT_LE(total, physical);
  arenas.clear();
  EXPECT_TRUE(backend->AllocateHost(4096).ok());
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
