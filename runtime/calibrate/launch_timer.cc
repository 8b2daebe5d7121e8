#include "runtime/calibrate/launch_timer.h"

#include <algorithm>

#include "runtime/base/philox.h"
#include "runtime/base/tensor.h"
#include "runtime/calibrate/slowest.h"
#include "runtime/comm/agreement.h"

namespace wsi {
namespace {

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Bytes AlignedBytes(const OperandSpec& operand) {
  return AlignUp(operand.shape.ByteCount(operand.dtype), kBufferAlignment);
}

Bytes AlignedBytes(const std::vector<OperandSpec>& operands) {
  Bytes bytes = 0;
  for (const OperandSpec& operand : operands) bytes += AlignedBytes(operand);
  return bytes;
}

// Device memory for one case at a time: inputs from its start, outputs behind the largest
// inputs, so that no case changes what another reads.
class CaseMemory {
 public:
  static Result<CaseMemory> Make(Backend* backend, const std::vector<LaunchCase>& cases) {
    CaseMemory memory;
    Bytes outputs = 0;
    for (const LaunchCase& c : cases) {
      memory.outputs_at_ = std::max(memory.outputs_at_, AlignedBytes(c.inputs));
      outputs = std::max(outputs, AlignedBytes(c.outputs));
    }
    WSI_ASSIGN_OR_RETURN(memory.arena_, backend->AllocateDevice(memory.outputs_at_ + outputs));
    WSI_RETURN_IF_ERROR(memory.Fill(backend));
    return memory;
  }

  std::byte* inputs() const { return arena_->data(); }
  std::byte* outputs() const { return arena_->data() + outputs_at_; }

 private:
  // Numbers in [0.5, 1.5), so that variances are positive and nothing is denormal. They
  // are bf16; two of them beside each other are as well such a number in f32.
  Status Fill(Backend* backend) {
    constexpr size_t kPattern = size_t{1} << 19;
    std::vector<uint16_t> pattern(kPattern);
    const PhiloxStream random(0, 0, 0);
    for (size_t i = 0; i < kPattern; ++i) {
      pattern[i] = FloatToBFloat16(0.5F + 0.99F * random.Uniform(static_cast<int64_t>(i)));
    }
    const auto bytes = std::as_bytes(std::span(pattern));
    for (Bytes at = 0; at < arena_->size(); at += static_cast<Bytes>(bytes.size())) {
      const Bytes left = std::min(arena_->size() - at, static_cast<Bytes>(bytes.size()));
      WSI_RETURN_IF_ERROR(
          backend->Write(arena_->data() + at, bytes.first(static_cast<size_t>(left))));
    }
    return {};
  }

  std::unique_ptr<Arena> arena_;
  Bytes outputs_at_ = 0;
};

class TimedLaunch {
 public:
  static Result<TimedLaunch> Make(Backend* backend, const LaunchCase& launch,
                                  const CaseMemory& memory) {
    TimedLaunch timed;
    WSI_ASSIGN_OR_RETURN(timed.kernel_, backend->Compile(SpecOf(launch)));
    std::byte* at = memory.inputs();
    for (const OperandSpec& input : launch.inputs) {
      timed.inputs_.push_back(at);
      at += AlignedBytes(input);
    }
    at = memory.outputs();
    for (const OperandSpec& output : launch.outputs) {
      timed.outputs_.push_back(at);
      at += AlignedBytes(output);
    }
    return timed;
  }

  Status Enqueue(Lane* lane) const {
    return lane->Launch(*kernel_, {.inputs = inputs_, .outputs = outputs_});
  }

  Result<double> Run(Lane* lane) const {
    double start = 0;
    double end = 0;
    WSI_RETURN_IF_ERROR(lane->Mark(&start));
    WSI_RETURN_IF_ERROR(Enqueue(lane));
    WSI_RETURN_IF_ERROR(lane->Mark(&end));
    WSI_RETURN_IF_ERROR(lane->Synchronize());
    return end - start;
  }

 private:
  std::unique_ptr<Kernel> kernel_;
  std::vector<const std::byte*> inputs_;
  std::vector<std::byte*> outputs_;
};

// Each case once.
class LaunchRound {
 public:
  static Result<LaunchRound> Make(Backend* backend, const std::vector<LaunchCase>& cases) {
    LaunchRound round;
    WSI_ASSIGN_OR_RETURN(round.memory_, CaseMemory::Make(backend, cases));
    for (const LaunchCase& c : cases) {
      WSI_ASSIGN_OR_RETURN(TimedLaunch launch, TimedLaunch::Make(backend, c, round.memory_));
      round.launches_.push_back(std::move(launch));
    }
    return round;
  }

  Result<std::vector<double>> Run(Lane* compute) const {
    std::vector<double> seconds;
    for (const TimedLaunch& launch : launches_) {
      WSI_ASSIGN_OR_RETURN(const double time, launch.Run(compute));
      seconds.push_back(time);
    }
    return seconds;
  }

 private:
  CaseMemory memory_;
  std::vector<TimedLaunch> launches_;
};

}  // namespace

Result<double> MeasureLaunchSeconds(Backend* backend, Lane* compute) {
  constexpr int kLaunches = 101;
  const OperandSpec few = {.present = true, .dtype = DType::kF32, .shape = {64}};
  LaunchCase add;
  add.op = "Add";
  add.inputs = {few, few};
  add.outputs = {few};
  WSI_ASSIGN_OR_RETURN(const CaseMemory memory, CaseMemory::Make(backend, {add}));
  WSI_ASSIGN_OR_RETURN(TimedLaunch timed, TimedLaunch::Make(backend, add, memory));
  std::vector<double> seconds;
  for (int i = 0; i < kLaunches; ++i) {
    WSI_ASSIGN_OR_RETURN(const double time, timed.Run(compute));
    seconds.push_back(time);
  }
  return std::max(Median(std::move(seconds)), 1e-9);
}

Result<std::vector<LaunchSample>> MeasureLaunches(Communicator& ranks, Backend* backend,
                                                  Lane* compute,
                                                  const std::vector<LaunchCase>& cases,
                                                  const LaunchMeasurement& how) {
  const Result<LaunchRound> launches = LaunchRound::Make(backend, cases);
  WSI_RETURN_IF_ERROR(Agree(ranks, launches.status()));
  std::vector<std::vector<double>> seconds(cases.size());
  for (int round = -1; round < how.rounds; ++round) {  // The first warms up.
    const Result<std::vector<double>> own = launches->Run(compute);
    WSI_RETURN_IF_ERROR(Agree(ranks, own.status()));
    WSI_ASSIGN_OR_RETURN(const std::vector<double> slowest, SlowestRound(ranks, *own));
    for (size_t i = 0; round >= 0 && i < cases.size(); ++i) seconds[i].push_back(slowest[i]);
  }
  std::vector<LaunchSample> samples;
  for (size_t i = 0; i < cases.size(); ++i) {
    const LaunchCase& c = cases[i];
    samples.push_back({.op = c.op,
                       .matrix = c.matrix,
                       .half = c.inputs[0].dtype != DType::kF32,
                       .flops = c.flops,
                       .bytes = c.bytes,
                       .seconds = std::max(Median(seconds[i]) - how.launch_seconds, 1e-9)});
  }
  return samples;
}

struct RepeatedLaunch::Parts {
  CaseMemory memory;
  TimedLaunch launch;
};

RepeatedLaunch::RepeatedLaunch(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
RepeatedLaunch::RepeatedLaunch(RepeatedLaunch&&) noexcept = default;
RepeatedLaunch& RepeatedLaunch::operator=(RepeatedLaunch&&) noexcept = default;
RepeatedLaunch::~RepeatedLaunch() = default;

Result<RepeatedLaunch> RepeatedLaunch::Make(Backend* backend, const LaunchCase& launch) {
  WSI_ASSIGN_OR_RETURN(CaseMemory memory, CaseMemory::Make(backend, {launch}));
  WSI_ASSIGN_OR_RETURN(TimedLaunch timed, TimedLaunch::Make(backend, launch, memory));
  return RepeatedLaunch(std::make_unique<Parts>(Parts{std::move(memory), std::move(timed)}));
}

Result<double> RepeatedLaunch::Time(Lane* compute, int count,
                                    const std::function<Status()>& beside) const {
  const double start = MarkSeconds();
  for (int i = 0; i < count; ++i) WSI_RETURN_IF_ERROR(parts_->launch.Enqueue(compute));
  WSI_RETURN_IF_ERROR(beside());
  WSI_RETURN_IF_ERROR(compute->Synchronize());
  return MarkSeconds() - start;
}

}  // namespace wsi
