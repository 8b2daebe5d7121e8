// Writes plans by hand: every function adds one thing and returns its index.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

class PlanBuilder {
 public:
  explicit PlanBuilder(DType dtype) : dtype_(dtype) {}

  int32_t Buffer(int program, Bytes offset, Bytes size, int64_t begin, int64_t end,
                 plan::Tier tier = plan::TIER_DEVICE) {
    plan::Buffer* buffer = plan_.add_buffers();
    buffer->set_tier(tier);
    buffer->set_offset(offset);
    buffer->set_size(size);
    buffer->set_program(program);
    buffer->set_begin(begin);
    buffer->set_end(end);
    return plan_.buffers_size() - 1;
  }

  int32_t Value(const std::string& name, int32_t buffer, const std::vector<int64_t>& dims,
                plan::Role role = plan::ROLE_INTERMEDIATE) {
    plan::Value* value = plan_.add_values();
    value->set_name(name);
    value->set_dtype(static_cast<uint32_t>(dtype_));
    value->mutable_dims()->Add(dims.begin(), dims.end());
    value->set_buffer(buffer);
    value->set_role(role);
    return plan_.values_size() - 1;
  }

  plan::Persistent* Persistent(int32_t value, Bytes data_bytes) {
    plan::Persistent* persistent = plan_.add_persistents();
    persistent->set_value(value);
    persistent->set_onnx_name(plan_.values(value).name());
    *persistent->mutable_onnx_dims() = plan_.values(value).dims();
    persistent->set_data_bytes(data_bytes);
    persistent->set_gradient(-1);
    return persistent;
  }

  // Instructions from here on are this program's.
  plan::Program* Program(const std::string& name) {
    program_ = plan_.add_programs();
    program_->set_name(name);
    program_->set_target(-1);
    program_->set_loss(-1);
    return program_;
  }

  plan::Instruction* Instruction(const std::string& name, plan::Lane lane, plan::Phase phase,
                                 const std::vector<int32_t>& waits) {
    plan::Instruction* instruction = program_->add_instructions();
    instruction->set_name(name);
    instruction->set_lane(lane);
    instruction->set_phase(phase);
    instruction->mutable_waits()->Add(waits.begin(), waits.end());
    return instruction;
  }

  plan::Launch* Launch(const std::string& op, const std::vector<int32_t>& inputs,
                       const std::vector<int32_t>& outputs, plan::Phase phase,
                       const std::vector<int32_t>& waits = {}) {
    plan::Launch* launch =
        Instruction(op + "_node", plan::LANE_COMPUTE, phase, waits)->mutable_launch();
    launch->set_op(op);
    launch->mutable_inputs()->Add(inputs.begin(), inputs.end());
    launch->mutable_outputs()->Add(outputs.begin(), outputs.end());
    launch->set_workspace(-1);
    launch->set_flops(6);
    launch->set_bytes(48);
    return launch;
  }

  plan::Copy* Copy(int32_t from, int32_t to, plan::Lane lane, const std::vector<int32_t>& waits,
                   plan::Phase phase = plan::PHASE_FORWARD) {
    plan::Copy* copy = Instruction("copy_x", lane, phase, waits)->mutable_copy();
    copy->set_from(from);
    copy->set_to(to);
    return copy;
  }

  plan::Plan& plan() { return plan_; }

 private:
  DType dtype_;
  plan::Plan plan_;
  plan::Program* program_ = nullptr;
};

}  // namespace wsi
