#include "runtime/executor/compiled_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/executor/step_builder.h"
#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

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
  return result;
}

void CompiledProgram::set_timing(bool on) {
  timing_ = on;
  for (OpTime& time : op_times_) {
    time.launches = 0;
    time.seconds = 0;
  }
}

void CompiledProgram::set_recording(bool on) { spans_.assign(on ? steps_.size() : 0, {}); }

Status CompiledProgram::Run(Phases phases, const GradientTap& tap) {
  WSI_RETURN_IF_ERROR(backend_->ResetEvents());
  std::fill(spans_.begin(), spans_.end(), RecordedSpan());
  run_start_ = MarkSeconds();
  for (size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    const bool enabled = Enabled(phases, step.instruction->phase());
    Status status = RunStep(step, spans_.empty() ? nullptr : &spans_[i], enabled);
    if (status.ok() && tap && enabled && !step.taps.empty()) status = Tap(step, tap);
    if (!status.ok()) {
      // Nothing may still be running when the caller looks at the memory. Its error,
      // if any, comes from the same cause.
      const Status drained = Synchronize();
      static_cast<void>(drained);
      return status.WithContext(fmt::format("program '{}'", program_.name()));
    }
  }
  Status status = Synchronize();
  if (!status.ok()) return status.WithContext(fmt::format("program '{}'", program_.name()));
  FinishRecording();
  return status;
}

void CompiledProgram::FinishRecording() {
  for (RecordedSpan& span : spans_) {
    if (span.start < 0) continue;
    span.start -= run_start_;
    span.end -= run_start_;
  }
}

// A step whose phase is skipped does no work but still waits and records, so that the
// order of the others is the verified one.
Status CompiledProgram::RunStep(Step& step, RecordedSpan* span, bool enabled) {
  if (step.instruction->has_barrier()) return RunBarrier(step);
  for (const int event : step.waits) WSI_RETURN_IF_ERROR(step.lane->Wait(event));
  if (poison_) WSI_RETURN_IF_ERROR(Poison(step.poison_before));
  if (enabled) WSI_RETURN_IF_ERROR(Work(step, span));
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
  if (span == nullptr) return DoWork(step);
  WSI_RETURN_IF_ERROR(step.lane->Mark(&span->start));
  WSI_RETURN_IF_ERROR(DoWork(step));
  return step.lane->Mark(&span->end);
}

Status CompiledProgram::DoWork(Step& step) {
  if (step.task) return step.lane->Call(*step.task);
  if (step.instruction->has_copy()) return step.lane->Copy(step.to, step.from, step.bytes);
  // A sum over the only rank is the value itself.
  if (!step.instruction->has_launch()) return {};
  const LaunchArguments arguments = {
      .inputs = step.inputs, .outputs = step.outputs, .workspace = step.workspace};
  if (timing_) return TimedLaunch(step, arguments);
  return step.lane->Launch(*step.kernel, arguments);
}

Status CompiledProgram::TimedLaunch(Step& step, const LaunchArguments& arguments) {
  WSI_RETURN_IF_ERROR(step.lane->Synchronize());
  const auto start = std::chrono::steady_clock::now();
  WSI_RETURN_IF_ERROR(step.lane->Launch(*step.kernel, arguments));
  WSI_RETURN_IF_ERROR(step.lane->Synchronize());
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  ++op_times_[step.op].launches;
  op_times_[step.op].seconds += elapsed.count();
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
