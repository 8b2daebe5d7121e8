#include "passes/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "compiler/ops/collective.h"
#include "compiler/ops/op_def.h"
#include "passes/lower_waits.h"
#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

plan::Role PlanRole(Role role) {
  switch (role) {
    case Role::kIntermediate: return plan::ROLE_INTERMEDIATE;
    case Role::kInput: return plan::ROLE_INPUT;
    case Role::kTarget: return plan::ROLE_TARGET;
    case Role::kScalar: return plan::ROLE_SCALAR;
    case Role::kParameter: return plan::ROLE_PARAMETER;
    case Role::kState: return plan::ROLE_STATE;
    case Role::kConstant: return plan::ROLE_CONSTANT;
  }
  return plan::ROLE_INTERMEDIATE;
}

plan::Phase PlanPhase(Phase phase) {
  switch (phase) {
    case Phase::kForward: return plan::PHASE_FORWARD;
    case Phase::kBackward: return plan::PHASE_BACKWARD;
    case Phase::kUpdate: return plan::PHASE_UPDATE;
  }
  return plan::PHASE_FORWARD;
}

plan::Tier PlanTier(Tier tier) {
  switch (tier) {
    case Tier::kDevice: return plan::TIER_DEVICE;
    case Tier::kHost: return plan::TIER_HOST;
    case Tier::kFile: return plan::TIER_FILE;
  }
  return plan::TIER_DEVICE;
}

plan::Value PlanValue(const Value& value, int32_t buffer) {
  plan::Value out;
  out.set_name(value.name);
  out.set_dtype(static_cast<uint32_t>(value.dtype));
  out.mutable_dims()->Assign(value.shape.begin(), value.shape.end());
  out.set_buffer(buffer);
  out.set_role(PlanRole(value.role));
  if (value.role == Role::kInput || value.role == Role::kTarget) {
    out.mutable_permutation()->Assign(value.permutation.begin(), value.permutation.end());
  }
  return out;
}

// The shape of the tensor that `value` is a permutation of.
std::vector<int64_t> OnnxDims(const Value& value) {
  std::vector<int64_t> dims(value.shape.begin(), value.shape.end());
  for (size_t i = 0; i < value.permutation.size(); ++i) {
    dims[static_cast<size_t>(value.permutation[i])] = value.shape[static_cast<int>(i)];
  }
  return dims;
}

class Lowering {
 public:
  Result<LoweredPlan> Run(std::span<const ProgramSource> programs);

 private:
  struct Known {
    int32_t value = -1;       // In plan.values.
    int32_t persistent = -1;  // In plan.persistents.
  };

  Status AddPersistents(const Graph& graph);
  Status AddPersistent(const Graph& graph, const Value& value);
  Status CheckSame(const Graph& graph, const Value& value, const Known& known) const;
  std::string CheckpointName(const Value& value);
  void AddProgram(const ProgramSource& source);
  void AddBuffers(const Graph& graph);
  void AddValues(const Graph& graph);
  void AddInstructions(const Graph& graph, plan::Program& program);
  void AddLaunch(const Graph& graph, NodeId id, plan::Launch& launch);
  void AddCopy(const Graph& graph, const Node& node, plan::Instruction& instruction);
  void AddCollective(const Graph& graph, const Node& node, plan::Program& program);
  void AliasCollectives(const Graph& graph);
  void AddResults(const Graph& graph, plan::Program& program);
  void AddGradients(const Graph& graph);

  plan::Plan& plan() { return lowered_.plan; }
  int32_t ValueIndex(ValueId id) const {
    return id.valid() ? value_index_[static_cast<size_t>(id.index)] : -1;
  }
  int32_t BufferIndex(BufferId id) const {
    return id.valid() ? buffer_index_[static_cast<size_t>(id.index)] : -1;
  }

  LoweredPlan lowered_;
  std::unordered_map<std::string, Known> persistents_;  // By value name.
  std::set<std::string> checkpoint_names_;

  // Of the program being lowered.
  std::vector<int32_t> value_index_;
  std::vector<int32_t> buffer_index_;
  std::vector<int64_t> instruction_at_;  // By step: instructions before it.
};

// Whether a step is no instruction: it only renames bytes or shapes the schedule. A
// gradient keeps its instruction: the executor looks at it right behind the one that makes
// it.
std::vector<bool> FindSkipped(const Graph& graph) {
  std::vector<bool> is_gradient(static_cast<size_t>(graph.value_count()), false);
  for (const ParameterGradient& pair : graph.gradients) {
    is_gradient[static_cast<size_t>(pair.gradient.index)] = true;
  }
  std::vector<bool> skipped;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const OpDef* def = FindOp(node.op);
    bool is_skipped = def->lowers_to == LowersTo::kNothing;
    if (def->lowers_to == LowersTo::kBarrier) is_skipped = node.attributes.Int("barrier", 0) == 0;
    if (def->is_view) {
      const ValueId output = node.outputs[0];
      is_skipped = !output.valid() || !is_gradient[static_cast<size_t>(output.index)];
    }
    skipped.push_back(is_skipped);
  }
  return skipped;
}

// Whether output i of a collective lies where its input i does.
bool IsInPlace(const Graph& graph, const Node& node, size_t i) {
  return graph.value(node.inputs[i]).buffer == graph.value(node.outputs[i]).buffer;
}

// How many instructions a step becomes that is not skipped.
int64_t InstructionCount(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  int64_t count = 1;
  if (!IsCollective(*FindOp(node.op))) return count;
  for (size_t i = 0; i < node.inputs.size(); ++i) count += IsInPlace(graph, node, i) ? 0 : 1;
  return count;
}

std::string Lowering::CheckpointName(const Value& value) {
  std::string name = value.tensor.empty() ? value.name : value.tensor;
  if (checkpoint_names_.insert(name).second) return name;
  std::string candidate = value.name;
  for (int suffix = 1; !checkpoint_names_.insert(candidate).second; ++suffix) {
    candidate = fmt::format("{}.{}", value.name, suffix);
  }
  return candidate;
}

Status Lowering::CheckSame(const Graph& graph, const Value& value, const Known& known) const {
  const plan::Value& there = lowered_.plan.values(known.value);
  const plan::Persistent& persistent = lowered_.plan.persistents(known.persistent);
  const plan::Buffer& buffer = lowered_.plan.buffers(there.buffer());
  const Buffer& own = graph.buffers[static_cast<size_t>(value.buffer.index)];
  const bool is_same =
      there.dtype() == static_cast<uint32_t>(value.dtype) && there.role() == PlanRole(value.role) &&
      std::equal(there.dims().begin(), there.dims().end(), value.shape.begin(),
                 value.shape.end()) &&
      std::equal(persistent.permutation().begin(), persistent.permutation().end(),
                 value.permutation.begin(), value.permutation.end()) &&
      lowered_.tensor_keys[static_cast<size_t>(known.persistent)] == value.tensor &&
      buffer.tier() == PlanTier(own.tier) && buffer.offset() == own.offset &&
      buffer.size() == own.size;
  if (is_same) return {};
  return InternalError(fmt::format("%{} differs between the programs of the plan", value.name));
}

Status Lowering::AddPersistent(const Graph& graph, const Value& value) {
  if (!value.buffer.valid()) return InternalError(fmt::format("%{} has no buffer", value.name));
  if (const auto known = persistents_.find(value.name); known != persistents_.end()) {
    return CheckSame(graph, value, known->second);
  }
  const std::vector<int64_t> dims = OnnxDims(value);
  if (!value.tensor.empty()) {
    const Tensor* tensor = graph.tensors().Find(value.tensor);
    if (tensor == nullptr) {
      return InvalidInput(fmt::format("%{}: there is no tensor '{}'", value.name, value.tensor));
    }
    if (!std::equal(dims.begin(), dims.end(), tensor->shape().begin(), tensor->shape().end())) {
      return InvalidInput(fmt::format("%{}: its tensor '{}' has shape {}", value.name, value.tensor,
                                      tensor->shape().ToString()));
    }
  }
  const Buffer& buffer = graph.buffers[static_cast<size_t>(value.buffer.index)];
  plan::Buffer* stored = plan().add_buffers();
  stored->set_tier(PlanTier(buffer.tier));
  stored->set_offset(buffer.offset);
  stored->set_size(buffer.size);
  stored->set_program(-1);
  *plan().add_values() = PlanValue(value, plan().buffers_size() - 1);
  plan::Persistent* persistent = plan().add_persistents();
  persistent->set_value(plan().values_size() - 1);
  persistent->set_onnx_name(CheckpointName(value));
  persistent->mutable_onnx_dims()->Assign(dims.begin(), dims.end());
  persistent->mutable_permutation()->Assign(value.permutation.begin(), value.permutation.end());
  persistent->set_data_bytes(value.tensor.empty() ? 0 : value.shape.ByteCount(value.dtype));
  persistent->set_gradient(-1);
  persistent->set_optimizer_state(value.role == Role::kState && value.tensor.empty());
  lowered_.tensor_keys.push_back(value.tensor);
  persistents_[value.name] = {plan().values_size() - 1, plan().persistents_size() - 1};
  return {};
}

// Parameters first, so that they are the ones to keep their keys as names.
Status Lowering::AddPersistents(const Graph& graph) {
  for (const Role role : {Role::kParameter, Role::kState, Role::kConstant}) {
    for (int32_t i = 0; i < graph.value_count(); ++i) {
      const Value& value = graph.value(ValueId{i});
      if (value.role == role) WSI_RETURN_IF_ERROR(AddPersistent(graph, value));
    }
  }
  return {};
}

void Lowering::AddBuffers(const Graph& graph) {
  buffer_index_.assign(graph.buffers.size(), -1);
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{i});
    if (!IsPersistent(value.role)) continue;
    buffer_index_[static_cast<size_t>(value.buffer.index)] =
        plan().values(persistents_.at(value.name).value).buffer();
  }
  const auto steps = static_cast<int64_t>(graph.order().size());
  const auto instruction = [&](int64_t step) {
    return instruction_at_[static_cast<size_t>(std::min(step, steps))];
  };
  for (size_t i = 0; i < graph.buffers.size(); ++i) {
    if (buffer_index_[i] >= 0) continue;
    const Buffer& buffer = graph.buffers[i];
    buffer_index_[i] = plan().buffers_size();
    plan::Buffer* stored = plan().add_buffers();
    stored->set_tier(PlanTier(buffer.tier));
    stored->set_offset(buffer.offset);
    stored->set_size(buffer.size);
    stored->set_program(plan().programs_size() - 1);
    stored->set_begin(instruction(buffer.begin));
    stored->set_end(instruction(buffer.end));
  }
}

void Lowering::AddValues(const Graph& graph) {
  value_index_.assign(static_cast<size_t>(graph.value_count()), -1);
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{i});
    int32_t& index = value_index_[static_cast<size_t>(i)];
    if (IsPersistent(value.role)) {
      index = persistents_.at(value.name).value;
    } else if (value.buffer.valid()) {
      index = plan().values_size();
      *plan().add_values() = PlanValue(value, BufferIndex(value.buffer));
    }
  }
}

void Lowering::AddLaunch(const Graph& graph, NodeId id, plan::Launch& launch) {
  const Node& node = graph.node(id);
  launch.set_op(node.op);
  StoreAttributes(node.attributes, launch.mutable_attributes());
  for (const ValueId input : node.inputs) launch.add_inputs(ValueIndex(input));
  for (const ValueId output : node.outputs) launch.add_outputs(ValueIndex(output));
  launch.set_workspace(BufferIndex(node.workspace));
  const OpDef* def = FindOp(node.op);
  const Cost cost = def->cost == nullptr ? Cost{} : def->cost(OpView(graph, id));
  launch.set_flops(cost.flops);
  launch.set_bytes(cost.bytes);
  launch.set_matrix(def->is_matrix && !cost.vector_only);
}

void Lowering::AddCopy(const Graph& graph, const Node& node, plan::Instruction& instruction) {
  const Value& from = graph.value(node.inputs[0]);
  const Value& to = graph.value(node.outputs[0]);
  instruction.set_lane(to.tier == Tier::kDevice   ? plan::LANE_IN
                       : to.tier == Tier::kFile   ? plan::LANE_WRITE
                       : from.tier == Tier::kFile ? plan::LANE_READ
                                                  : plan::LANE_OUT);
  instruction.mutable_copy()->set_from(BufferIndex(from.buffer));
  instruction.mutable_copy()->set_to(BufferIndex(to.buffer));
  instruction.mutable_copy()->set_source(ValueIndex(node.inputs[0]));
  instruction.mutable_copy()->set_result(ValueIndex(node.outputs[0]));
}

void Lowering::AddCollective(const Graph& graph, const Node& node, plan::Program& program) {
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (IsInPlace(graph, node, i)) continue;
    plan::Instruction* copy = program.add_instructions();
    copy->set_name(graph.value(node.outputs[i]).name);
    copy->set_lane(plan::LANE_COMPUTE);
    copy->set_phase(PlanPhase(node.phase));
    plan::Launch& launch = *copy->mutable_launch();
    launch.set_op("Reshape");
    const Shape& shape = graph.value(node.inputs[i]).shape;
    StoreAttributes({{"shape", std::vector<int64_t>(shape.begin(), shape.end())}},
                    launch.mutable_attributes());
    launch.add_inputs(ValueIndex(node.inputs[i]));
    launch.add_outputs(ValueIndex(node.outputs[i]));
    launch.set_workspace(-1);
    launch.set_bytes(2.0 * static_cast<double>(shape.ByteCount(graph.value(node.inputs[i]).dtype)));
  }
  plan::Instruction* instruction = program.add_instructions();
  instruction->set_name(node.name);
  instruction->set_lane(plan::LANE_COMM);
  instruction->set_phase(PlanPhase(node.phase));
  for (const ValueId output : node.outputs) {
    instruction->mutable_collective()->add_values(ValueIndex(output));
  }
}

// In the plan a collective changes a value, so what it leaves is that value, where it lies
// there. Elsewhere it changes a copy.
void Lowering::AliasCollectives(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!IsCollective(*FindOp(node.op))) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!IsInPlace(graph, node, i)) continue;
      value_index_[static_cast<size_t>(node.outputs[i].index)] = ValueIndex(node.inputs[i]);
    }
  }
}

void Lowering::AddInstructions(const Graph& graph, plan::Program& program) {
  const std::vector<bool> skipped = FindSkipped(graph);
  for (size_t s = 0; s < graph.order().size(); ++s) {
    if (skipped[s]) continue;
    const Node& node = graph.node(graph.order()[s]);
    if (IsCollective(*FindOp(node.op))) {
      AddCollective(graph, node, program);
      continue;
    }
    plan::Instruction* instruction = program.add_instructions();
    instruction->set_name(node.name);
    instruction->set_lane(plan::LANE_COMPUTE);
    instruction->set_phase(PlanPhase(node.phase));
    switch (FindOp(node.op)->lowers_to) {
      case LowersTo::kLaunch:
        AddLaunch(graph, graph.order()[s], *instruction->mutable_launch());
        break;
      case LowersTo::kCopy: AddCopy(graph, node, *instruction); break;
      case LowersTo::kBarrier: instruction->mutable_barrier(); break;
      case LowersTo::kNothing: break;
    }
  }
  SetWaits(plan(), program);
}

void Lowering::AddResults(const Graph& graph, plan::Program& program) {
  program.set_target(-1);
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const Role role = graph.value(ValueId{i}).role;
    const int32_t index = ValueIndex(ValueId{i});
    if (index < 0) continue;
    if (role == Role::kInput) program.add_inputs(index);
    if (role == Role::kScalar) program.add_scalars(index);
    if (role == Role::kTarget) program.set_target(index);
  }
  for (const ValueId output : graph.outputs) program.add_outputs(ValueIndex(output));
  program.set_loss(ValueIndex(graph.loss));
}

void Lowering::AddGradients(const Graph& graph) {
  for (const ParameterGradient& pair : graph.gradients) {
    const Known& known = persistents_.at(graph.value(pair.parameter).name);
    plan().mutable_persistents(known.persistent)->set_gradient(ValueIndex(pair.gradient));
  }
}

void Lowering::AddProgram(const ProgramSource& source) {
  const Graph& graph = *source.graph;
  plan::Program* program = plan().add_programs();
  program->set_name(source.name);
  instruction_at_.assign(1, 0);
  const std::vector<bool> skipped = FindSkipped(graph);
  for (size_t step = 0; step < skipped.size(); ++step) {
    const int64_t count = skipped[step] ? 0 : InstructionCount(graph, graph.order()[step]);
    instruction_at_.push_back(instruction_at_.back() + count);
  }
  AddBuffers(graph);
  AddValues(graph);
  AliasCollectives(graph);
  AddInstructions(graph, *program);
  AddResults(graph, *program);
  AddGradients(graph);
  const auto arena = [&](Tier tier) { return graph.arena_bytes[static_cast<size_t>(tier)]; };
  plan().set_device_peak_bytes(std::max(plan().device_peak_bytes(), arena(Tier::kDevice)));
  plan().set_host_peak_bytes(std::max(plan().host_peak_bytes(), arena(Tier::kHost)));
  plan().set_file_peak_bytes(std::max(plan().file_peak_bytes(), arena(Tier::kFile)));
}

Result<LoweredPlan> Lowering::Run(std::span<const ProgramSource> programs) {
  WSI_CHECK(!programs.empty());
  lowered_.tensors = &programs[0].graph->tensors();
  for (const ProgramSource& source : programs) {
    WSI_CHECK(&source.graph->tensors() == lowered_.tensors);
    WSI_RETURN_IF_ERROR(
        AddPersistents(*source.graph).WithContext(fmt::format("program '{}'", source.name)));
  }
  for (const ProgramSource& source : programs) AddProgram(source);
  return std::move(lowered_);
}

}  // namespace

Result<Tensor> LoweredPlan::Data(int index) const {
  const plan::Persistent& persistent = plan.persistents(index);
  const Tensor* tensor = tensors->Find(tensor_keys[static_cast<size_t>(index)]);
  WSI_CHECK(tensor != nullptr);
  const DType dtype = ValueDType(plan.values(persistent.value()));
  if (persistent.permutation().empty()) return tensor->Cast(dtype);
  const std::vector<int64_t> permutation(persistent.permutation().begin(),
                                         persistent.permutation().end());
  WSI_ASSIGN_OR_RETURN(const Tensor permuted, tensor->Permute(permutation));
  return permuted.Cast(dtype);
}

Result<LoweredPlan> LowerToPlan(std::span<const ProgramSource> programs) {
  return Lowering().Run(programs);
}

}  // namespace wsi
