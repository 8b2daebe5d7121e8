#include "runtime/executor/step_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/executor/join_launches.h"
#include "runtime/executor/launch_operands.h"
#include "runtime/executor/named_kernel.h"
#include "runtime/executor/reduction.h"
#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

int LaneCount(const Lanes& lanes) {
  return static_cast<int>(
      std::count_if(lanes.begin(), lanes.end(), [](const auto& lane) { return lane != nullptr; }));
}

std::string InstructionName(int i, const plan::Instruction& instruction) {
  return fmt::format("instruction {} '{}' ({})", i, instruction.name(), KindName(instruction));
}

bool HasPeers(const ExecutorOptions& options) {
  return options.communicator != nullptr && options.communicator->size() > 1;
}

// A copy between host and file.
class Transfer final : public HostTask {
 public:
  Transfer(std::string name, const SpillFile* file, Bytes offset, std::span<std::byte> memory,
           bool to_file)
      : name_(std::move(name)), file_(file), offset_(offset), memory_(memory), to_file_(to_file) {}
  Status Run() override {
    Status status = to_file_ ? file_->Write(offset_, memory_) : file_->Read(offset_, memory_);
    return status.ok() ? status : status.WithContext(name_);
  }

 private:
  std::string name_;
  const SpillFile* file_;
  Bytes offset_;
  std::span<std::byte> memory_;
  bool to_file_;
};

}  // namespace

StepBuilder::StepBuilder(int program, PlanMemory* memory, Backend* backend, const Lanes* lanes,
                         CompiledProgram* result)
    : program_(program), memory_(memory), backend_(backend), lanes_(lanes), result_(result) {}

Status StepBuilder::Build(const ExecutorOptions& options) {
  const plan::Program& program = result_->program_;
  result_->steps_.reserve(static_cast<size_t>(program.instructions_size()));
  if (HasPeers(options) && options.collectives == CollectivePath::kStaged) {
    WSI_RETURN_IF_ERROR(MakeStaging());
  }
  for (int i = 0; i < program.instructions_size(); ++i) {
    const plan::Instruction& instruction = program.instructions(i);
    Status status = BuildStep(i);
    if (status.ok() && instruction.has_collective()) {
      status = BuildCollective(i, options);
    }
    if (!status.ok()) {
      return status.WithContext(
          fmt::format("program '{}', {}", program.name(), InstructionName(i, instruction)));
    }
  }
  BuildWaits();
  if (program.name() == "train") WSI_RETURN_IF_ERROR(BuildTaps());
  result_->poison_ = options.poison;
  if (options.poison) {
    BuildPoison();
    return {};
  }
  return JoinLaunches(memory_->plan(), backend_, result_->steps_);
}

Status StepBuilder::BuildStep(int i) {
  const plan::Instruction& instruction = result_->program_.instructions(i);
  Step& step = result_->steps_.emplace_back();
  step.instruction = &instruction;
  step.lane = (*lanes_)[static_cast<size_t>(instruction.lane())].get();
  if (step.lane == nullptr) step.lane = (*lanes_)[plan::LANE_COMPUTE].get();
  if (instruction.has_copy()) BuildCopy(i, step);
  return instruction.has_launch() ? BuildLaunch(i, step) : Status();
}

void StepBuilder::BuildCopy(int i, Step& step) {
  const plan::Copy& copy = step.instruction->copy();
  const plan::Buffer& from = memory_->plan().buffers(copy.from());
  const plan::Buffer& to = memory_->plan().buffers(copy.to());
  if (from.tier() != plan::TIER_FILE && to.tier() != plan::TIER_FILE) {
    step.to = memory_->BufferAddress(copy.to());
    step.from = memory_->BufferAddress(copy.from());
    step.bytes = to.size();
    return;
  }
  const bool to_file = to.tier() == plan::TIER_FILE;
  step.task = std::make_unique<Transfer>(
      InstructionName(i, *step.instruction), memory_->spill_file(),
      to_file ? to.offset() : from.offset(),
      std::span(memory_->BufferAddress(to_file ? copy.from() : copy.to()),
                static_cast<size_t>(to.size())),
      to_file);
}

// With one rank there is nothing to do.
Status StepBuilder::BuildCollective(int i, const ExecutorOptions& options) {
  if (!HasPeers(options)) return {};
  const plan::Plan& plan = memory_->plan();
  Step& step = result_->steps_.back();
  const plan::Collective& collective = step.instruction->collective();
  if (collective.values().empty()) return {};
  const DType first = ValueDType(plan.values(collective.values(0)));
  for (const int32_t v : collective.values()) {
    const DType dtype = ValueDType(plan.values(v));
    if (dtype == first && (dtype == DType::kF32 || dtype == DType::kF64)) continue;
    return InvalidInput(fmt::format("'{}' is {}, wanted all f32 or all f64", plan.values(v).name(),
                                    DTypeName(dtype)));
  }
  return options.collectives == CollectivePath::kBackend
             ? BuildBackendCollective(InstructionName(i, *step.instruction), step)
             : BuildReduction(i, options, step);
}

Status StepBuilder::BuildBackendCollective(const std::string& name, Step& step) {
  const plan::Plan& plan = memory_->plan();
  std::vector<OperandSpec> operands;
  for (const int32_t v : step.instruction->collective().values()) {
    operands.push_back({.present = true,
                        .dtype = ValueDType(plan.values(v)),
                        .shape = ValueShape(plan.values(v))});
    step.inputs.push_back(memory_->ValueAddress(v));
    step.outputs.push_back(memory_->ValueAddress(v));
  }
  Attributes attributes;
  attributes.Set("by_ranks", int64_t{plan.deterministic() ? 1 : 0});
  const LaunchSpec spec = {.op = "AllReduce",
                           .node = step.instruction->name(),
                           .attributes = attributes,
                           .inputs = operands,
                           .outputs = operands};
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, backend_->Compile(spec));
  step.kernel = std::make_unique<NamedKernel>(name, std::move(kernel));
  return {};
}

Status StepBuilder::BuildReduction(int i, const ExecutorOptions& options, Step& step) {
  const plan::Plan& plan = memory_->plan();
  const auto& ids = step.instruction->collective().values();
  std::vector<std::span<std::byte>> values;
  for (const int32_t v : ids) {
    values.emplace_back(memory_->ValueAddress(v), static_cast<size_t>(ValueBytes(plan.values(v))));
  }
  if (options.collectives == CollectivePath::kStaged) {
    std::byte* at = result_->staging_->data();
    for (const std::span<std::byte> value : values) {
      step.staged.push_back(
          {.device = value.data(), .host = at, .bytes = static_cast<Bytes>(value.size())});
      at += value.size();
    }
    values = {std::span(result_->staging_->data(), at)};
  }
  step.task = MakeReduction(InstructionName(i, *step.instruction), options.communicator,
                            plan.deterministic() ? SumOrder::kByRanks : SumOrder::kAny,
                            ValueDType(plan.values(ids[0])), std::move(values));
  return {};
}

// Room for the largest collective.
Status StepBuilder::MakeStaging() {
  Bytes most = 0;
  for (const plan::Instruction& instruction : result_->program_.instructions()) {
    Bytes bytes = 0;
    for (const int32_t v : instruction.collective().values()) {
      WSI_ASSIGN_OR_RETURN(bytes, CheckedAdd(bytes, ValueBytes(memory_->plan().values(v))));
    }
    most = std::max(most, bytes);
  }
  WSI_ASSIGN_OR_RETURN(result_->staging_, backend_->AllocateHost(most));
  return {};
}

Status StepBuilder::BuildLaunch(int i, Step& step) {
  const plan::Instruction& instruction = *step.instruction;
  const plan::Launch& launch = instruction.launch();
  const auto address = [&](int32_t v) { return v == -1 ? nullptr : memory_->ValueAddress(v); };
  for (const int32_t v : launch.inputs()) step.inputs.push_back(address(v));
  for (const int32_t v : launch.outputs()) step.outputs.push_back(address(v));
  if (launch.workspace() != -1) step.workspace = memory_->BufferAddress(launch.workspace());
  const auto [at, is_new] = op_index_.try_emplace(launch.op(), result_->op_times_.size());
  if (is_new) result_->op_times_.push_back({.op = launch.op(), .launches = 0, .seconds = 0});
  step.op = at->second;
  const LaunchOperands operands(memory_->plan(), instruction);
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, backend_->Compile(operands.spec()));
  step.kernel = std::make_unique<NamedKernel>(InstructionName(i, instruction), std::move(kernel));
  return {};
}

// A wait becomes an event only where it crosses lanes. Behind a barrier every lane has
// waited already.
void StepBuilder::BuildWaits() {
  std::vector<Step>& steps = result_->steps_;
  int& events = result_->event_count_;
  for (Step& step : steps) {
    for (const int32_t w : step.instruction->waits()) {
      Step& other = steps[static_cast<size_t>(w)];
      if (other.lane == step.lane || other.instruction->has_barrier()) continue;
      if (other.record == -1) other.record = events++;
      step.waits.push_back(other.record);
    }
    if (step.instruction->has_barrier()) {
      step.record = events;
      events += LaneCount(*lanes_);
    }
  }
}

// The gradient is complete behind the last instruction that writes its value.
Status StepBuilder::BuildTaps() {
  const plan::Plan& plan = memory_->plan();
  for (int i = 0; i < plan.persistents_size(); ++i) {
    const int32_t gradient = plan.persistents(i).gradient();
    if (gradient == -1) continue;
    const int writer = FindWriter(plan, result_->program_, gradient);
    if (writer < 0) {
      return InvalidInput(
          fmt::format("nothing computes the gradient of '{}'", plan.persistents(i).onnx_name()));
    }
    result_->steps_[static_cast<size_t>(writer)].taps.push_back(i);
  }
  return {};
}

void StepBuilder::BuildPoison() {
  const plan::Plan& plan = memory_->plan();
  std::vector<bool> given(static_cast<size_t>(plan.buffers_size()));  // Written before the step.
  const auto mark = [&](int32_t v) { given[static_cast<size_t>(plan.values(v).buffer())] = true; };
  for (const int32_t v : result_->program_.inputs()) mark(v);
  for (const int32_t v : result_->program_.scalars()) mark(v);
  if (result_->program_.target() != -1) mark(result_->program_.target());
  for (int b = 0; b < plan.buffers_size(); ++b) {
    const plan::Buffer& buffer = plan.buffers(b);
    if (buffer.program() != program_ || buffer.begin() == buffer.end()) continue;
    if (!given[static_cast<size_t>(b)]) {
      result_->steps_[static_cast<size_t>(buffer.begin())].poison_before.push_back(b);
    }
    // What lives to the end is read behind it.
    if (buffer.end() < result_->program_.instructions_size()) {
      result_->steps_[static_cast<size_t>(buffer.end() - 1)].poison_after.push_back(b);
    }
  }
}

}  // namespace wsi
