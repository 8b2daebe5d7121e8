// Counts every operator new of the process while a step runs.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/executor/small_run.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<int> allocations = 0;

void* Allocate(std::size_t bytes) {
  if (counting) ++allocations;
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return Allocate(bytes); }
void* operator new[](std::size_t bytes) { return Allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace wsi {
namespace {

TEST_F(SmallRun, AStepAllocatesNothing) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  ASSERT_TRUE(Step(kAllPhases).ok());
  executor_->SetTiming(true);
  executor_->SetRecording(true);
  allocations = 0;
  counting = true;
  const bool fine = executor_->Run(kTrain, kAllPhases).ok();
  const int in_step = allocations;
  const std::unique_ptr<int> seen(new int(1));  // The counter does count.
  const int with_one = allocations;
  counting = false;
  EXPECT_TRUE(fine);
  EXPECT_EQ(in_step, 0);
  EXPECT_EQ(with_one, in_step + *seen);
}

}  // namespace
}  // namespace wsi
