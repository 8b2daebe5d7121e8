// The threads that run a kernel: the caller and persistent workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace wsi::cpu {

// A borrowed callable `void(int64_t chunk, int worker)`; it outlives the call it is passed to.
class ChunkFunction {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, ChunkFunction>)
      ChunkFunction(const F& function)  // NOLINT(google-explicit-constructor)
      : object_(&function), call_([](const void* object, int64_t chunk, int worker) {
          (*static_cast<const F*>(object))(chunk, worker);
        }) {}
  void operator()(int64_t chunk, int worker) const { call_(object_, chunk, worker); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int);
};

// Chunks are handed out in order to whoever is free, so a kernel whose chunks are
// cut by shape and whose partial results combine in chunk order gives the same bits
// on any number of threads.
//
// Thread safety: one thread at a time may call ParallelFor.
class ThreadPool {
 public:
  static constexpr int64_t kMaxChunks = 1 << 22;

  // `threads` includes the caller of ParallelFor; 0: one per core of the affinity mask.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls function(c, w) once for each chunk c in [0, chunks), where w in [0, size())
  // names the calling thread; returns when all are done. Allocates nothing.
  // REQUIRES: 0 <= chunks <= kMaxChunks; `function` does not call ParallelFor.
  void ParallelFor(int64_t chunks, ChunkFunction function);

 private:
  void Work(int worker);
  // Takes chunks of the current job until none is left.
  void Drain(int worker);

  // Chunk count (32 bits) and next chunk (32) of the current job in one word: a worker
  // that wakes late and takes a chunk owns one of the job that is current then.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<const ChunkFunction*> function_{nullptr};
  std::atomic<int64_t> done_{0};
  std::atomic<uint32_t> generation_{0};  // Jobs so far; workers sleep on it.
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace wsi::cpu
