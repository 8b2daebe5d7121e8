#include "tests/backends/cuda_emulation/emulation.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace wsi::emulation {

uint64_t exchanged[1024];

namespace {

constexpr size_t kMostThreads = 1024;
constexpr size_t kStackBytes = size_t{128} << 10;

struct Fiber {
  ucontext_t context;
  uint3 index{};
  bool is_done = false;
};

struct Scheduler {
  ucontext_t launcher;
  std::vector<Fiber> fibers = std::vector<Fiber>(kMostThreads);
  std::byte* stacks = nullptr;
  size_t running = 0;
  const std::function<void()>* thread = nullptr;
};

Scheduler& TheScheduler() {
  static Scheduler scheduler;
  return scheduler;
}

void RunThread() {
  Scheduler& s = TheScheduler();
  (*s.thread)();
  Fiber& fiber = s.fibers[s.running];
  fiber.is_done = true;
  swapcontext(&fiber.context, &s.launcher);
}

void PrepareBlock(Scheduler& s, size_t threads) {
  for (size_t i = 0; i < threads; ++i) {
    Fiber& fiber = s.fibers[i];
    const auto number = static_cast<unsigned>(i);
    fiber.index = {number % blockDim.x, number / blockDim.x, 0};
    fiber.is_done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = s.stacks + i * kStackBytes;
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, RunThread, 0);
  }
}

// Every round takes each thread to its next barrier.
void RunBlock(Scheduler& s, size_t threads) {
  PrepareBlock(s, threads);
  for (size_t left = threads; left > 0;) {
    for (size_t i = 0; i < threads; ++i) {
      Fiber& fiber = s.fibers[i];
      if (fiber.is_done) continue;
      s.running = i;
      threadIdx = fiber.index;
      swapcontext(&s.launcher, &fiber.context);
      if (fiber.is_done) --left;
    }
  }
}

}  // namespace

void Launch(dim3 grid, dim3 block, cudaStream_t, const std::function<void()>& thread) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  Scheduler& s = TheScheduler();
  const size_t threads = size_t{block.x} * block.y;
  if (threads > kMostThreads || block.z != 1) {
    std::fprintf(stderr, "a block of %u x %u x %u threads\n", block.x, block.y, block.z);
    std::abort();
  }
  if (s.stacks == nullptr) {
    s.stacks =
        static_cast<std::byte*>(mmap(nullptr, kStackBytes * kMostThreads, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  s.thread = &thread;
  blockDim = block;
  gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        RunBlock(s, threads);
      }
    }
  }
}

void Synchronize() {
  Scheduler& s = TheScheduler();
  Fiber& fiber = s.fibers[s.running];
  swapcontext(&fiber.context, &s.launcher);
}

}  // namespace wsi::emulation
