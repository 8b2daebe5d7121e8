#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "runtime/backends/cpu/thread_pool.h"

namespace wsi::cpu {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (const int64_t chunks : {0, 1, 2, 3, 100, 1001}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(chunks));
      pool.ParallelFor(chunks, [&](int64_t chunk, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        ++runs[static_cast<size_t>(chunk)];
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

// A worker that wakes after its job has ended must neither run it again nor lose a
// chunk of the next one.
TEST(ThreadPool, ManyShortJobsInARow) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int64_t job = 0; job < 50000; ++job) {
    const int64_t chunks = 1 + job % 5;
    std::atomic<int64_t> sum = 0;
    pool.ParallelFor(chunks, [&](int64_t chunk, int) { sum += job + chunk; });
    ASSERT_EQ(sum, chunks * job + chunks * (chunks - 1) / 2);
    total += sum;
  }
  EXPECT_GT(total, 0);
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(2);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Each chunk waits for the other, so this ends only if two threads take part.
    std::atomic<int> arrived = 0;
    pool.ParallelFor(2, [&](int64_t, int) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
    EXPECT_EQ(arrived, 2);
  }
}

TEST(ThreadPool, WorkersHaveDistinctNumbers) {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> inside(3);
  std::atomic<bool> clash = false;
  pool.ParallelFor(300, [&](int64_t, int worker) {
    if (inside[static_cast<size_t>(worker)].exchange(1) != 0) clash = true;
    std::this_thread::yield();
    inside[static_cast<size_t>(worker)] = 0;
  });
  EXPECT_FALSE(clash);
}

}  // namespace
}  // namespace wsi::cpu
