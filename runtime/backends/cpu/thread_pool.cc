#include "runtime/backends/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>

#include "runtime/base/status.h"

namespace wsi::cpu {
namespace {

// About 20 to 60 microseconds: longer than the gap between two launches.
constexpr int kSpins = 2000;

uint64_t MakeTicket(int64_t chunks) { return static_cast<uint64_t>(chunks) << 32; }
int64_t TicketChunks(uint64_t ticket) { return static_cast<int64_t>(ticket >> 32); }
int64_t TicketNext(uint64_t ticket) { return static_cast<int64_t>(ticket & 0xffffffffU); }

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int AffinityCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const int count = threads > 0 ? threads : AffinityCores();
  workers_.reserve(static_cast<size_t>(count - 1));
  for (int w = 1; w < count; ++w) workers_.emplace_back([this, w] { Work(w); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t chunks, ChunkFunction function) {
  WSI_CHECK(0 <= chunks && chunks <= kMaxChunks);
  if (chunks == 0) return;
  if (chunks == 1 || workers_.empty()) {
    for (int64_t c = 0; c < chunks; ++c) function(c, 0);
    return;
  }
  done_.store(0, std::memory_order_relaxed);
  function_.store(&function, std::memory_order_relaxed);
  ticket_.store(MakeTicket(chunks), std::memory_order_release);
  generation_.fetch_add(1);
  generation_.notify_all();
  Drain(0);
  for (int spin = 0; done_.load(std::memory_order_acquire) != chunks; ++spin) {
    Pause();
    if (spin >= kSpins) std::this_thread::yield();
  }
}

void ThreadPool::Drain(int worker) {
  while (true) {
    // Read before taking, so that workers with nothing to do do not run the counter up.
    const uint64_t seen = ticket_.load(std::memory_order_relaxed);
    if (TicketNext(seen) >= TicketChunks(seen)) return;
    const uint64_t ticket = ticket_.fetch_add(1, std::memory_order_acq_rel);
    const int64_t chunk = TicketNext(ticket);
    if (chunk >= TicketChunks(ticket)) return;
    // The job cannot end while this chunk is open, so function_ is this job's.
    (*function_.load(std::memory_order_relaxed))(chunk, worker);
    done_.fetch_add(1, std::memory_order_release);
  }
}

void ThreadPool::Work(int worker) {
  uint32_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && generation_.load() == seen; ++spin) Pause();
    while (generation_.load() == seen) generation_.wait(seen);
    seen = generation_.load();
    if (stop_.load()) return;
    Drain(worker);
  }
}

}  // namespace wsi::cpu
