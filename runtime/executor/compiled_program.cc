#include "runtime/executor/compiled_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/executor/step_builder.h"
#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

// The share of a run that enqueuing takes where a replay is worth its capture.
constexpr double kBusyHost = 0.5;

bool Enabled(Phases phases, plan::Phase phase) {
  switch (phase) {
    case plan::PHASE_BACKWARD: return phases.backward;
    case plan::PHASE_UPDATE: return phases.update;
    default: return phases.forward;
  }
}

}  // namespace

Result<std::unique_ptr<CompiledProgram>> CompiledProgram::Compile(int program, PlanMemory* memory,
                                                                  Backend* backend,
                                                                  const Lanes* lanes,
                                                                  const ExecutorOptions& options) {
  std::unique_ptr<CompiledProgram> result(
      new CompiledProgram(memory->plan().programs(program), memory, backend, lanes));
  StepBuilder builder(program, memory, backend, lanes, result.get());
  WSI_RETURN_IF_ERROR(builder.Build(options));
  if (result->CanReplay(options)) result->capture_ = options.capture;
  return result;
}

// Poison is written step by step, messages between ranks want a thread that may wait, and
// moves of managed memory are not work that a device can repeat.
bool CompiledProgram::CanReplay(const ExecutorOptions& options) const {
  const bool has_peers = options.communicator != nullptr && options.communicator->size() > 1;
  return backend_->CanCapture() && !options.poison && !has_peers && !memory_->plan().managed();
}

void CompiledProgram::set_timing(bool on) {
  timing_ = on;
  MakeSpans();
  for (OpTime& time : op_times_) {
    time.launches = 0;
    time.seconds = 0;
  }
}

void CompiledProgram::set_recording(bool on) {
  recording_ = on;
  MakeSpans();
}

void CompiledProgram::MakeSpans() { spans_.assign(timing_ || recording_ ? steps_.size() : 0, {}); }

Status CompiledProgram::Run(Phases phases, const GradientTap& tap) {
  backend_->BeginRange(program_.name().c_str());
  Status status = RunOrReplay(phases, tap);
  backend_->EndRange();
  return status.ok() ? status : status.WithContext(fmt::format("program '{}'", program_.name()));
}

CompiledProgram::Replay& CompiledProgram::ReplayOf(Phases phases) {
  return replays_[(phases.forward ? 1U : 0U) + (phases.backward ? 2U : 0U) +
                  (phases.update ? 4U : 0U)];
}

Status CompiledProgram::RunOrReplay(Phases phases, const GradientTap& tap) {
  Replay& replay = ReplayOf(phases);
  const bool as_a_whole = spans_.empty() && !tap;
  if (as_a_whole && replay.wanted) {
    if (!replay.work) WSI_RETURN_IF_ERROR(Capture(phases, &replay));
    if (replay.work) {
      ++replayed_runs_;
      WSI_RETURN_IF_ERROR(backend_->ResetEvents());
      WSI_RETURN_IF_ERROR(replay.work->Enqueue());
      return Synchronize();
    }
  }
  double enqueued = 0;
  WSI_RETURN_IF_ERROR(RunSteps(phases, tap, &enqueued));
  const double share = enqueued / (MarkSeconds() - run_start_);
  // The first run of all loads code.
  if (capture_ == CaptureMode::kOn) replay.wanted = true;
  if (capture_ == CaptureMode::kAuto && as_a_whole && ++replay.runs > 1) {
    replay.wanted = share > kBusyHost;
  }
  return {};
}

// What cannot be captured is run step by step from here on, unless capturing was asked for.
Status CompiledProgram::Capture(Phases phases, Replay* replay) {
  std::vector<Lane*> lanes;
  for (const auto& lane : *lanes_) {
    if (lane) lanes.push_back(lane.get());
  }
  WSI_RETURN_IF_ERROR(backend_->ResetEvents());
  Status status = backend_->BeginCapture(lanes);
  if (status.ok()) {
    status = Enqueue(phases, {});
    Result<std::unique_ptr<CapturedWork>> work = backend_->EndCapture();
    const Status launched = Synchronize();
    if (status.ok()) status = launched;
    if (status.ok()) status = work.status();
    if (status.ok()) replay->work = std::move(work).value();
  }
  if (status.ok()) return {};
  if (capture_ == CaptureMode::kOn) return status.WithContext("capture");
  capture_ = CaptureMode::kOff;
  replay->wanted = false;
  return {};
}

Status CompiledProgram::RunSteps(Phases phases, const GradientTap& tap, double* enqueued) {
  WSI_RETURN_IF_ERROR(backend_->ResetEvents());
  std::fill(spans_.begin(), spans_.end(), RecordedSpan());
  run_start_ = MarkSeconds();
  Status status = Enqueue(phases, tap);
  *enqueued = MarkSeconds() - run_start_;
  // Nothing may still be running when the caller looks at the memory. An error of the
  // lanes comes from the same cause.
  const Status drained = Synchronize();
  if (!status.ok()) return status;
  WSI_RETURN_IF_ERROR(drained);
  FinishRecording();
  return {};
}

Status CompiledProgram::Enqueue(Phases phases, const GradientTap& tap) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    const bool enabled = Enabled(phases, step.instruction->phase());
    WSI_RETURN_IF_ERROR(RunStep(step, spans_.empty() ? nullptr : &spans_[i], enabled));
    if (tap && enabled && !step.taps.empty()) WSI_RETURN_IF_ERROR(Tap(step, tap));
  }
  return {};
}

void CompiledProgram::FinishRecording() {
  for (size_t i = 0; i < spans_.size(); ++i) {
    RecordedSpan& span = spans_[i];
    if (span.start < 0) continue;
    span.start -= run_start_;
    span.end -= run_start_;
    if (!timing_ || !steps_[i].instruction->has_launch()) continue;
    OpTime& time = op_times_[steps_[i].op];
    ++time.launches;
    time.seconds += span.end - span.start;
  }
}

// A step whose phase is skipped does no work but still waits and records, so that the
// order of the others is the verified one.
Status CompiledProgram::RunStep(Step& step, RecordedSpan* span, bool enabled) {
  if (step.instruction->has_barrier()) return RunBarrier(step);
  for (const int event : step.waits) WSI_RETURN_IF_ERROR(step.lane->Wait(event));
  if (poison_) WSI_RETURN_IF_ERROR(Poison(step.poison_before));
  if (enabled) {
    backend_->BeginRange(step.instruction->name().c_str());
    const Status worked = Work(step, span);
    backend_->EndRange();
    WSI_RETURN_IF_ERROR(worked);
  }
  if (poison_) WSI_RETURN_IF_ERROR(Poison(step.poison_after));
  return step.record == -1 ? Status() : step.lane->Record(step.record);
}

Status CompiledProgram::RunBarrier(const Step& step) {
  int event = step.record;
  for (const auto& lane : *lanes_) {
    if (lane) WSI_RETURN_IF_ERROR(lane->Record(event++));
  }
  int own = step.record;
  for (const auto& lane : *lanes_) {
    if (!lane) continue;
    for (int other = step.record; other < event; ++other) {
      if (other != own) WSI_RETURN_IF_ERROR(lane->Wait(other));
    }
    ++own;
  }
  return {};
}

Status CompiledProgram::Work(Step& step, RecordedSpan* span) {
  if (step.instruction->has_launch() && !step.kernel) return {};
  if (span == nullptr) return DoWork(step);
  WSI_RETURN_IF_ERROR(step.lane->Mark(&span->start));
  WSI_RETURN_IF_ERROR(DoWork(step));
  return step.lane->Mark(&span->end);
}

Status CompiledProgram::DoWork(Step& step) {
  if (step.task) return RunTask(step);
  if (step.instruction->has_copy()) return DoCopy(step);
  // A sum over the only rank is the value itself.
  if (!step.kernel) return {};
  const LaunchArguments arguments = {
      .inputs = step.inputs, .outputs = step.outputs, .workspace = step.workspace};
  return step.lane->Launch(*step.kernel, arguments);
}

// Between buffers that share managed memory, a move of its pages.
Status CompiledProgram::DoCopy(const Step& step) {
  if (step.to != step.from) return step.lane->Copy(step.to, step.from, step.bytes);
  const plan::Buffer& to = memory_->plan().buffers(step.instruction->copy().to());
  return step.lane->Migrate(step.to, step.bytes, to.tier() == plan::TIER_DEVICE);
}

Status CompiledProgram::RunTask(Step& step) {
  for (const StagedValue& value : step.staged) {
    WSI_RETURN_IF_ERROR(step.lane->Copy(value.host, value.device, value.bytes));
  }
  WSI_RETURN_IF_ERROR(step.lane->Call(*step.task));
  for (const StagedValue& value : step.staged) {
    WSI_RETURN_IF_ERROR(step.lane->Copy(value.device, value.host, value.bytes));
  }
  return {};
}

Status CompiledProgram::Tap(const Step& step, const GradientTap& tap) {
  WSI_RETURN_IF_ERROR(step.lane->Synchronize());
  for (const int persistent : step.taps) {
    WSI_ASSIGN_OR_RETURN(Tensor gradient, memory_->ReadGradient(persistent));
    WSI_RETURN_IF_ERROR(
        tap(memory_->plan().persistents(persistent).onnx_name(), std::move(gradient)));
  }
  return {};
}

Status CompiledProgram::Poison(std::span<const int32_t> buffers) {
  if (buffers.empty()) return {};
  WSI_RETURN_IF_ERROR(Synchronize());
  for (const int32_t buffer : buffers) WSI_RETURN_IF_ERROR(memory_->PoisonBuffer(buffer));
  return {};
}

Status CompiledProgram::Synchronize() {
  Status first;
  for (const auto& lane : *lanes_) {
    if (!lane) continue;
    Status status = lane->Synchronize();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

}  // namespace wsi
