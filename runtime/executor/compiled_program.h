// One program of a plan, ready to run: kernels compiled, addresses resolved, waits
// turned into events. Private to executor.cc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/executor/executor.h"
#include "runtime/executor/plan_memory.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// By plan::Lane; null where no program uses the lane, and for collectives of one rank.
using Lanes = std::array<std::unique_ptr<Lane>, plan::Lane_ARRAYSIZE>;

// A device's value and its place in the host's memory.
struct StagedValue {
  std::byte* device = nullptr;
  std::byte* host = nullptr;
  Bytes bytes = 0;
};

struct Step {
  const plan::Instruction* instruction = nullptr;
  Lane* lane = nullptr;
  // Of a launch, or of a collective of several ranks that the backend does; null where an
  // earlier step's kernel does its work.
  std::unique_ptr<Kernel> kernel;
  std::vector<const std::byte*> inputs;
  std::vector<std::byte*> outputs;
  std::byte* workspace = nullptr;
  size_t op = 0;  // In CompiledProgram::op_times().
  // Of a copy between device and host.
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  Bytes bytes = 0;
  // A copy between host and file, or a collective of several ranks.
  std::unique_ptr<HostTask> task;
  std::vector<StagedValue> staged;  // What such a collective works on copies of.

  std::vector<int> waits;              // Events of other lanes.
  int record = -1;                     // Event that other lanes wait for; of a barrier the first of
                                       // one per lane. -1: none.
  std::vector<int> taps;               // Persistents whose gradient is complete behind this step.
  std::vector<int32_t> poison_before;  // Buffers that begin here or have ended behind
  std::vector<int32_t> poison_after;   // this step; filled with NaN in tests only.
};

class CompiledProgram {
 public:
  // Borrows everything but the options.
  static Result<std::unique_ptr<CompiledProgram>> Compile(int program, PlanMemory* memory,
                                                          Backend* backend, const Lanes* lanes,
                                                          const ExecutorOptions& options);

  // Events 0 to below this are used.
  int event_count() const { return event_count_; }
  const std::vector<OpTime>& op_times() const { return op_times_; }
  void set_timing(bool on);
  const std::vector<RecordedSpan>& spans() const { return spans_; }
  void set_recording(bool on);
  int64_t replayed_runs() const { return replayed_runs_; }
  // Enqueues every step and waits for the last. Allocates nothing while `tap` is empty.
  Status Run(Phases phases, const GradientTap& tap);

 private:
  friend class StepBuilder;
  CompiledProgram(const plan::Program& program, PlanMemory* memory, Backend* backend,
                  const Lanes* lanes)
      : program_(program), memory_(memory), backend_(backend), lanes_(lanes) {}

  // Runs of the same phases: the first goes step by step and tells what that costs.
  struct Replay {
    int runs = 0;
    bool wanted = false;
    std::unique_ptr<CapturedWork> work;
  };
  bool CanReplay(const ExecutorOptions& options) const;
  Status RunOrReplay(Phases phases, const GradientTap& tap);
  Replay& ReplayOf(Phases phases);
  Status Capture(Phases phases, Replay* replay);
  Status RunSteps(Phases phases, const GradientTap& tap, double* enqueued);
  Status Enqueue(Phases phases, const GradientTap& tap);
  Status RunStep(Step& step, RecordedSpan* span, bool enabled);
  Status RunBarrier(const Step& step);
  Status Work(Step& step, RecordedSpan* span);
  Status DoWork(Step& step);
  Status DoCopy(const Step& step);
  Status RunTask(Step& step);
  void FinishRecording();
  void MakeSpans();
  Status Tap(const Step& step, const GradientTap& tap);
  Status Poison(std::span<const int32_t> buffers);
  Status Synchronize();

  const plan::Program& program_;
  PlanMemory* memory_;
  Backend* backend_;
  const Lanes* lanes_;
  std::unique_ptr<Arena> staging_;  // Of collectives, which take turns.
  std::vector<Step> steps_;
  std::vector<OpTime> op_times_;
  std::vector<RecordedSpan> spans_;  // By step; empty while neither times nor spans are wanted.
  std::array<Replay, 8> replays_;    // By phases.
  int64_t replayed_runs_ = 0;
  CaptureMode capture_ = CaptureMode::kOff;
  double run_start_ = 0;  // As Lane::Mark has it.
  int event_count_ = 0;
  bool timing_ = false;
  bool recording_ = false;
  bool poison_ = false;
};

}  // namespace wsi
