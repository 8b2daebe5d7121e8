// A lane: a CUDA stream. Events of all lanes, timed marks, tasks on the host.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/cuda_status.h"
#include "runtime/backends/cuda/faults.h"

namespace wsi {
class CudaRanks;
}

namespace wsi::cuda {

struct DestroyStream {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
using Stream = std::unique_ptr<CUstream_st, DestroyStream>;
// Work on it does not wait for the default stream.
Result<Stream> MakeStream();

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;
Result<Event> MakeEvent(bool timed);

// Events by number, shared by all lanes of a backend.
class Events {
 public:
  Status SetCount(int count);
  // Null where there is no such event.
  cudaEvent_t at(int event) const;

 private:
  std::vector<Event> events_;
};

struct DestroyGraph {
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
};
// A graph of the work of several streams.
class StreamGraph final : public CapturedWork {
 public:
  // Takes the graph over; `stream` is where it runs.
  static Result<std::unique_ptr<CapturedWork>> Make(cudaGraph_t graph, cudaStream_t stream);
  Status Enqueue() override { return WSI_CUDA_STATUS(cudaGraphLaunch(graph_.get(), stream_)); }

 private:
  StreamGraph(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}

  std::unique_ptr<CUgraphExec_st, DestroyGraph> graph_;
  cudaStream_t stream_;
};

// Keeps what is enqueued on several streams, the first of which everything begins and ends
// on:
//
//   first   fork --------------------------- join
//   second    `----- copies -----------------'
class StreamCapture {
 public:
  // After an error nothing is being captured.
  Status Begin(std::vector<cudaStream_t> streams);
  Result<std::unique_ptr<CapturedWork>> End();

 private:
  Status Fork();

  std::vector<cudaStream_t> streams_;
  Event event_;
};

// Work is enqueued at once and runs in the stream's order. A kernel that cannot be
// launched fails its Launch; what fails while it runs is reported by Synchronize, up to
// which later work of the lane still runs.
class StreamLane final : public Lane {
 public:
  // Borrows all. `faults`: null for lanes that launch no kernels. `ranks`: null for one rank.
  StreamLane(cudaStream_t stream, const Events& events, Faults* faults, CudaRanks* ranks)
      : stream_(stream), events_(events), faults_(faults), ranks_(ranks) {}
  StreamLane(Stream stream, const Events& events, CudaRanks* ranks)
      : owned_(std::move(stream)), stream_(owned_.get()), events_(events), ranks_(ranks) {}
  ~StreamLane() override;

  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override;
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override;
  Status Call(HostTask& task) override;
  Status Migrate(std::byte* memory, Bytes bytes, bool to_device) override;
  Status Record(int event) override;
  Status Wait(int event) override;
  Status Mark(double* seconds) override;
  Status Synchronize() override;
  cudaStream_t stream() const { return stream_; }

 private:
  struct Task {
    StreamLane* lane;
    HostTask* task;
  };
  struct Timed {
    Event event;
    double* seconds = nullptr;
  };
  static void RunTask(void* task);
  Status WaitForStream();
  Status ResolveMarks();

  Stream owned_;
  cudaStream_t stream_;
  const Events& events_;
  Faults* faults_ = nullptr;
  CudaRanks* ranks_ = nullptr;
  Status launch_error_;  // The first since Synchronize.
  // Marks since Synchronize are timed from origin_, which passed at origin_seconds_.
  Event origin_;
  double origin_seconds_ = 0;
  std::vector<Timed> marks_;
  size_t marks_used_ = 0;
  // Those that were called, which replays call again.
  std::map<HostTask*, std::unique_ptr<Task>> tasks_;
  std::mutex mutex_;
  Status task_error_;  // Guarded by mutex_.
};

}  // namespace wsi::cuda
