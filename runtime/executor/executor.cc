#include "runtime/executor/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "runtime/executor/compiled_program.h"
#include "runtime/executor/plan_memory.h"
#include "runtime/plan/plan_types.h"

namespace wsi {

// One scalar of one program and what it is set to, in its own type.
struct Executor::Scalar {
  std::string name;
  DType dtype = DType::kF32;
  std::byte* address = nullptr;
  std::array<std::byte, 8> bytes{};

  // `Number` is double or int64_t, whichever was given.
  template <typename Number>
  void Set(Number number) {
    const auto put = [&](auto typed) { std::memcpy(bytes.data(), &typed, sizeof(typed)); };
    switch (dtype) {
      case DType::kF32: return put(static_cast<float>(number));
      case DType::kF64: return put(static_cast<double>(number));
      case DType::kF16: return put(FloatToHalf(static_cast<float>(number)));
      case DType::kBF16: return put(FloatToBFloat16(static_cast<float>(number)));
      case DType::kI64: return put(static_cast<int64_t>(number));
      case DType::kI32: return put(static_cast<int32_t>(number));
      case DType::kI8: return put(static_cast<int8_t>(number));
      case DType::kI16: return put(static_cast<int16_t>(number));
      case DType::kU16: return put(static_cast<uint16_t>(number));
      case DType::kU32: return put(static_cast<uint32_t>(number));
      case DType::kU64: return put(static_cast<uint64_t>(number));
      case DType::kU8: return put(static_cast<uint8_t>(number));
      case DType::kBool: return put(static_cast<uint8_t>(number != 0));
    }
  }
};

struct Executor::State {
  State(PlanMemory plan_memory, Backend* device)
      : memory(std::move(plan_memory)), backend(device) {}

  const plan::Plan& plan() const { return memory.plan(); }
  Status MakeLanes(bool has_peers);
  void MakeScalars();
  Result<double> ReadLoss(int32_t value) const;
  template <typename Number>
  bool SetScalar(std::string_view name, Number value) {
    bool found = false;
    for (std::vector<Scalar>& of_program : scalars) {
      for (Scalar& scalar : of_program) {
        if (scalar.name != name) continue;
        scalar.Set(value);
        found = true;
      }
    }
    return found;
  }

  PlanMemory memory;
  Backend* backend;
  Lanes lanes;
  std::vector<std::unique_ptr<CompiledProgram>> programs;
  std::vector<std::vector<Scalar>> scalars;  // By program.
  GradientTap tap;
};

Status Executor::State::MakeLanes(bool has_peers) {
  std::array<bool, std::tuple_size_v<Lanes>> used{};
  used[plan::LANE_COMPUTE] = true;  // Made first.
  for (const plan::Program& program : plan().programs()) {
    for (const plan::Instruction& instruction : program.instructions()) {
      used[static_cast<size_t>(instruction.lane())] = true;
    }
  }
  for (size_t i = 0; i < lanes.size(); ++i) {
    // Collectives of one rank are nothing: they keep their place on the compute lane.
    if (!used[i] || (i == plan::LANE_COMM && !has_peers)) continue;
    WSI_ASSIGN_OR_RETURN(lanes[i], backend->MakeLane(LaneName(static_cast<plan::Lane>(i))));
  }
  return {};
}

void Executor::State::MakeScalars() {
  for (const plan::Program& program : plan().programs()) {
    std::vector<Scalar>& of_program = scalars.emplace_back();
    for (const int32_t v : program.scalars()) {
      Scalar& scalar = of_program.emplace_back();
      scalar.name = plan().values(v).name();
      scalar.dtype = ValueDType(plan().values(v));
      scalar.address = memory.ValueAddress(v);
      scalar.Set(scalar.name == "lr" ? plan().training().learning_rate() : 0.0);
      if (scalar.name == "step" || scalar.name == "loss_scale") scalar.Set(int64_t{1});
    }
  }
}

Result<double> Executor::State::ReadLoss(int32_t value) const {
  const DType dtype = ValueDType(plan().values(value));
  std::array<std::byte, 8> bytes{};
  WSI_RETURN_IF_ERROR(backend->Read(std::span(bytes).first(static_cast<size_t>(DTypeBytes(dtype))),
                                    memory.ValueAddress(value)));
  const auto as = [&](auto typed) {
    std::memcpy(&typed, bytes.data(), sizeof(typed));
    return typed;
  };
  switch (dtype) {
    case DType::kF64: return as(double{});
    case DType::kF16: return static_cast<double>(HalfToFloat(as(uint16_t{})));
    case DType::kBF16: return static_cast<double>(BFloat16ToFloat(as(uint16_t{})));
    default: return static_cast<double>(as(float{}));  // VerifyPlan admits floats only.
  }
}

Executor::Executor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executor::~Executor() = default;

Result<std::unique_ptr<Executor>> Executor::Make(const PlanFile* file, Backend* backend,
                                                 const ExecutorOptions& options) {
  WSI_ASSIGN_OR_RETURN(PlanMemory memory, PlanMemory::Make(file, backend, options.spill,
                                                           options.allow_oversubscription));
  auto state = std::make_unique<State>(std::move(memory), backend);
  if (options.poison) WSI_RETURN_IF_ERROR(state->memory.PoisonAll());
  WSI_RETURN_IF_ERROR(state->memory.LoadPersistents());
  WSI_RETURN_IF_ERROR(
      state->MakeLanes(options.communicator != nullptr && options.communicator->size() > 1));
  int events = 0;
  for (int p = 0; p < state->plan().programs_size(); ++p) {
    WSI_ASSIGN_OR_RETURN(
        std::unique_ptr<CompiledProgram> program,
        CompiledProgram::Compile(p, &state->memory, backend, &state->lanes, options));
    events = std::max(events, program->event_count());
    state->programs.push_back(std::move(program));
  }
  WSI_RETURN_IF_ERROR(backend->SetEventCount(events));
  state->MakeScalars();
  return std::unique_ptr<Executor>(new Executor(std::move(state)));
}

Bytes Executor::device_arena_bytes() const { return state_->memory.device_arena_bytes(); }

const plan::Plan& Executor::plan() const { return state_->plan(); }

Result<int> Executor::FindProgram(std::string_view name) const {
  const int program = wsi::FindProgram(plan(), name);
  if (program >= 0) return program;
  return InvalidInput(
      fmt::format("the plan has no program '{}'; was it compiled with --loss none?", name));
}

Status Executor::CheckSlot(int program, int index, int count, std::string_view what) const {
  WSI_CHECK(program >= 0 && program < plan().programs_size());
  if (index >= 0 && index < count) return {};
  return InvalidInput(fmt::format("program '{}' has no {} {}; it has {}",
                                  plan().programs(program).name(), what, index, count));
}

Status Executor::WriteInput(int program, int index, const Tensor& tensor) {
  WSI_RETURN_IF_ERROR(CheckSlot(program, index, plan().programs(program).inputs_size(), "input"));
  return state_->memory.Write(plan().programs(program).inputs(index), tensor);
}

Status Executor::WriteInput(int program, int index, std::span<const std::byte> bytes) {
  WSI_RETURN_IF_ERROR(CheckSlot(program, index, plan().programs(program).inputs_size(), "input"));
  return state_->memory.WriteBytes(plan().programs(program).inputs(index), bytes);
}

Status Executor::WriteInput(int program, std::string_view name, const Tensor& tensor) {
  for (const int32_t v : plan().programs(program).inputs()) {
    if (plan().values(v).name() == name) return state_->memory.Write(v, tensor);
  }
  return InvalidInput(fmt::format("the model has no input '{}'", name));
}

Status Executor::WritePixels(int program, int index, int64_t begin, std::span<const uint8_t> rgb) {
  WSI_RETURN_IF_ERROR(CheckSlot(program, index, plan().programs(program).inputs_size(), "input"));
  return state_->memory.WritePixels(plan().programs(program).inputs(index), begin, rgb);
}

Result<std::unique_ptr<Arena>> Executor::AllocateHost(Bytes bytes) {
  return state_->backend->AllocateHost(bytes);
}

Status Executor::WriteTarget(int program, const Tensor& tensor) {
  const int32_t target = plan().programs(program).target();
  WSI_RETURN_IF_ERROR(CheckSlot(program, 0, target == -1 ? 0 : 1, "target"));
  return state_->memory.Write(target, tensor);
}

Status Executor::WriteTarget(int program, std::span<const std::byte> bytes) {
  const int32_t target = plan().programs(program).target();
  WSI_RETURN_IF_ERROR(CheckSlot(program, 0, target == -1 ? 0 : 1, "target"));
  return state_->memory.WriteBytes(target, bytes);
}

bool Executor::SetScalar(std::string_view name, double value) {
  return state_->SetScalar(name, value);
}
bool Executor::SetScalar(std::string_view name, int64_t value) {
  return state_->SetScalar(name, value);
}

Result<double> Executor::Run(int program, Phases phases) {
  const auto index = static_cast<size_t>(program);
  WSI_CHECK(index < state_->programs.size());
  for (const Scalar& scalar : state_->scalars[index]) {
    const auto bytes = static_cast<size_t>(DTypeBytes(scalar.dtype));
    WSI_RETURN_IF_ERROR(
        state_->backend->Write(scalar.address, std::span(scalar.bytes).first(bytes)));
  }
  WSI_RETURN_IF_ERROR(state_->programs[index]->Run(phases, state_->tap));
  const int32_t loss = plan().programs(program).loss();
  if (loss == -1 || !phases.forward) return 0.0;
  return state_->ReadLoss(loss);
}

Result<Tensor> Executor::ReadOutput(int program, int index) const {
  WSI_RETURN_IF_ERROR(CheckSlot(program, index, plan().programs(program).outputs_size(), "output"));
  return state_->memory.Read(plan().programs(program).outputs(index));
}

Result<int> Executor::FindPersistent(std::string_view onnx_name) const {
  for (int i = 0; i < plan().persistents_size(); ++i) {
    if (plan().persistents(i).onnx_name() == onnx_name) return i;
  }
  return InvalidInput(fmt::format("the plan has no persistent value '{}'", onnx_name));
}

Result<Tensor> Executor::ReadPersistent(int i) const {
  WSI_CHECK(i >= 0 && i < plan().persistents_size());
  return state_->memory.ReadPersistent(i);
}

Status Executor::WritePersistent(int i, const Tensor& tensor) {
  WSI_CHECK(i >= 0 && i < plan().persistents_size());
  return state_->memory.WritePersistent(i, tensor);
}

void Executor::SetGradientTap(GradientTap tap) { state_->tap = std::move(tap); }

void Executor::SetTiming(bool on) {
  for (const auto& program : state_->programs) program->set_timing(on);
}

void Executor::SetRecording(bool on) {
  for (const auto& program : state_->programs) program->set_recording(on);
}

const std::vector<RecordedSpan>& Executor::RecordedSpans(int program) const {
  return state_->programs[static_cast<size_t>(program)]->spans();
}

int64_t Executor::ReplayedRuns(int program) const {
  return state_->programs[static_cast<size_t>(program)]->replayed_runs();
}

const std::vector<OpTime>& Executor::OpTimes(int program) const {
  return state_->programs[static_cast<size_t>(program)]->op_times();
}

}  // namespace wsi
