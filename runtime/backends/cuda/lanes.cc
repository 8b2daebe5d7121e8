#include "runtime/backends/cuda/lanes.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/backends/cuda/cuda_ranks.h"
#include "runtime/backends/cuda/device_memory.h"

namespace wsi::cuda {
namespace {

Status BadEvent(int event) { return InternalError(fmt::format("event {} is out of range", event)); }

}  // namespace

Result<Stream> MakeStream() {
  cudaStream_t stream = nullptr;
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

Result<Event> MakeEvent(bool timed) {
  cudaEvent_t event = nullptr;
  WSI_RETURN_IF_CUDA_ERROR(
      cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming));
  return Event(event);
}

Status Events::SetCount(int count) {
  WSI_CHECK(count >= 0);
  while (events_.size() < static_cast<size_t>(count)) {
    WSI_ASSIGN_OR_RETURN(Event event, MakeEvent(false));
    events_.push_back(std::move(event));
  }
  return {};
}

cudaEvent_t Events::at(int event) const {
  const bool known = event >= 0 && static_cast<size_t>(event) < events_.size();
  return known ? events_[static_cast<size_t>(event)].get() : nullptr;
}

Result<std::unique_ptr<CapturedWork>> StreamGraph::Make(cudaGraph_t graph, cudaStream_t stream) {
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  WSI_RETURN_IF_ERROR(ToStatus(error, "cudaGraphInstantiate"));
  return std::unique_ptr<CapturedWork>(new StreamGraph(executable, stream));
}

Status StreamCapture::Begin(std::vector<cudaStream_t> streams) {
  WSI_CHECK(!streams.empty());
  if (!event_) {
    WSI_ASSIGN_OR_RETURN(event_, MakeEvent(false));
  }
  streams_ = std::move(streams);
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal));
  Status forked = Fork();
  if (!forked.ok()) {
    const auto given_up = End();
    static_cast<void>(given_up);
  }
  return forked;
}

Status StreamCapture::Fork() {
  WSI_RETURN_IF_CUDA_ERROR(cudaEventRecord(event_.get(), streams_[0]));
  for (size_t i = 1; i < streams_.size(); ++i) {
    WSI_RETURN_IF_CUDA_ERROR(cudaStreamWaitEvent(streams_[i], event_.get()));
  }
  return {};
}

// Ends the capture whatever happens, or the streams could not be used again.
Result<std::unique_ptr<CapturedWork>> StreamCapture::End() {
  cudaError_t joined = cudaSuccess;
  for (size_t i = 1; i < streams_.size() && joined == cudaSuccess; ++i) {
    joined = cudaEventRecord(event_.get(), streams_[i]);
    if (joined == cudaSuccess) joined = cudaStreamWaitEvent(streams_[0], event_.get());
  }
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(streams_[0], &graph);
  if (joined != cudaSuccess || ended != cudaSuccess) {
    cudaGetLastError();
    if (graph != nullptr) cudaGraphDestroy(graph);
    WSI_RETURN_IF_ERROR(ToStatus(joined, "join of captured streams"));
    return ToStatus(ended, "cudaStreamEndCapture");
  }
  return StreamGraph::Make(graph, streams_[0]);
}

// Nothing may refer to the lane any more.
StreamLane::~StreamLane() {
  if (ranks_ == nullptr || ranks_->Wait(stream_).ok()) cudaStreamSynchronize(stream_);
}

Status StreamLane::Launch(Kernel& kernel, const LaunchArguments& arguments) {
  if (!launch_error_.ok()) return {};
  launch_error_ = kernel.Run(arguments);
  return {};
}

Status StreamLane::Copy(std::byte* to, const std::byte* from, Bytes bytes) {
  if (bytes == 0) return {};
  return WSI_CUDA_STATUS(
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, stream_));
}

Status StreamLane::Migrate(std::byte* memory, Bytes bytes, bool to_device) {
  return MigratePages(memory, bytes, to_device, stream_);
}

void StreamLane::RunTask(void* task) {
  const Task& called = *static_cast<Task*>(task);
  StreamLane& lane = *called.lane;
  {
    const std::lock_guard lock(lane.mutex_);
    if (!lane.task_error_.ok()) return;
  }
  Status status = called.task->Run();
  const std::lock_guard lock(lane.mutex_);
  lane.task_error_ = std::move(status);
}

Status StreamLane::Call(HostTask& task) {
  std::unique_ptr<Task>& kept = tasks_[&task];
  if (!kept) kept = std::make_unique<Task>(Task{this, &task});
  return WSI_CUDA_STATUS(cudaLaunchHostFunc(stream_, RunTask, kept.get()));
}

Status StreamLane::Record(int event) {
  const cudaEvent_t found = events_.at(event);
  if (found == nullptr) return BadEvent(event);
  return WSI_CUDA_STATUS(cudaEventRecord(found, stream_));
}

Status StreamLane::Wait(int event) {
  const cudaEvent_t found = events_.at(event);
  if (found == nullptr) return BadEvent(event);
  return WSI_CUDA_STATUS(cudaStreamWaitEvent(stream_, found));
}

Status StreamLane::Mark(double* seconds) {
  if (marks_used_ == 0) {
    if (!origin_) {
      WSI_ASSIGN_OR_RETURN(origin_, MakeEvent(true));
    }
    // On the idle default stream, so that it passes now.
    WSI_RETURN_IF_CUDA_ERROR(cudaEventRecord(origin_.get(), cudaStreamPerThread));
    WSI_RETURN_IF_CUDA_ERROR(cudaEventSynchronize(origin_.get()));
    origin_seconds_ = MarkSeconds();
  }
  if (marks_used_ == marks_.size()) {
    WSI_ASSIGN_OR_RETURN(Event event, MakeEvent(true));
    marks_.push_back({.event = std::move(event)});
  }
  Timed& mark = marks_[marks_used_++];
  mark.seconds = seconds;
  return WSI_CUDA_STATUS(cudaEventRecord(mark.event.get(), stream_));
}

Status StreamLane::ResolveMarks() {
  for (size_t i = 0; i < marks_used_; ++i) {
    float milliseconds = 0;
    WSI_RETURN_IF_CUDA_ERROR(
        cudaEventElapsedTime(&milliseconds, origin_.get(), marks_[i].event.get()));
    *marks_[i].seconds = origin_seconds_ + static_cast<double>(milliseconds) * 1e-3;
  }
  marks_used_ = 0;
  return {};
}

// A stream that ranks which are gone keep from ending would be waited for without end.
Status StreamLane::WaitForStream() {
  if (ranks_ != nullptr) WSI_RETURN_IF_ERROR(ranks_->Wait(stream_));
  return faults_ != nullptr ? faults_->Synchronize(stream_)
                            : WSI_CUDA_STATUS(cudaStreamSynchronize(stream_));
}

Status StreamLane::Synchronize() {
  Status status = std::exchange(launch_error_, Status());
  Status ran = WaitForStream();
  if (status.ok()) status = std::move(ran);
  {
    const std::lock_guard lock(mutex_);
    Status task = std::exchange(task_error_, Status());
    if (status.ok()) status = std::move(task);
  }
  Status marked = ResolveMarks();
  return status.ok() ? marked : status;
}

}  // namespace wsi::cuda
