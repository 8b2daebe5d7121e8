// Programs whose instructions take given times, for tests of the simulator.
#pragma once

#include <vector>

#include "runtime/plan/plan.pb.h"

namespace wsi {

// A plan with one program "train". With UnitRates() a launch takes as many seconds as it
// has flops and a copy as many as it has bytes.
class Schedule {
 public:
  Schedule() { plan_.add_programs()->set_name("train"); }

  Schedule& Launch(int64_t seconds, std::vector<int32_t> waits = {}) {
    plan::Instruction* instruction = Add(plan::LANE_COMPUTE, std::move(waits));
    plan_.add_buffers();
    plan_.add_values()->set_dtype(1);
    plan_.mutable_values()->rbegin()->set_buffer(plan_.buffers_size() - 1);
    instruction->mutable_launch()->set_op("Add");
    instruction->mutable_launch()->add_outputs(plan_.values_size() - 1);
    instruction->mutable_launch()->set_flops(static_cast<double>(seconds));
    instruction->mutable_launch()->set_workspace(-1);
    return *this;
  }
  Schedule& Copy(plan::Lane lane, int64_t seconds, std::vector<int32_t> waits = {}) {
    plan_.add_buffers()->set_size(seconds);
    plan::Instruction* instruction = Add(lane, std::move(waits));
    instruction->mutable_copy()->set_from(plan_.buffers_size() - 1);
    instruction->mutable_copy()->set_to(plan_.buffers_size() - 1);
    return *this;
  }
  // A sum over ranks of so many floats, on the comm lane and in the update phase.
  Schedule& Collective(int64_t floats, std::vector<int32_t> waits = {}) {
    plan_.add_buffers()->set_size(4 * floats);
    plan::Value* value = plan_.add_values();
    value->set_dtype(1);
    value->add_dims(floats);
    value->set_buffer(plan_.buffers_size() - 1);
    plan::Instruction* instruction = Add(plan::LANE_COMM, std::move(waits));
    instruction->set_phase(plan::PHASE_UPDATE);
    instruction->mutable_collective()->add_values(plan_.values_size() - 1);
    return *this;
  }
  // Puts the last instruction into the update phase.
  Schedule& OfUpdate() {
    plan_.mutable_programs(0)->mutable_instructions()->rbegin()->set_phase(plan::PHASE_UPDATE);
    return *this;
  }
  Schedule& Barrier(plan::Lane lane = plan::LANE_COMPUTE) {
    Add(lane, {})->mutable_barrier();
    return *this;
  }

  plan::Plan& plan() { return plan_; }
  const plan::Plan& plan() const { return plan_; }
  const plan::Program& program() const { return plan_.programs(0); }

 private:
  plan::Instruction* Add(plan::Lane lane, std::vector<int32_t> waits) {
    plan::Instruction* instruction = plan_.mutable_programs(0)->add_instructions();
    instruction->set_lane(lane);
    instruction->mutable_waits()->Add(waits.begin(), waits.end());
    return instruction;
  }

  plan::Plan plan_;
};

inline plan::Rates UnitRates() {
  plan::Rates rates;
  rates.set_device("unit");
  rates.set_matrix_flops_fp32(1);
  rates.set_vector_flops(1);
  rates.set_memory_bytes(1);
  rates.set_in_bytes(1);
  rates.set_out_bytes(1);
  rates.set_read_bytes(1);
  rates.set_write_bytes(1);
  return rates;
}

// Unit rates, and four bytes a second between ranks.
inline plan::Rates LinkRates() {
  plan::Rates rates = UnitRates();
  rates.set_link_bytes(4);
  return rates;
}

// Backward in two parts, each behind which its gradients are added up over ranks:
//
// compute  bwd 10 | bwd 10 | upd 1 . . . upd 1      of two ranks
// comm              sum 6           sum 6
inline Schedule TwoBuckets() {
  return Schedule()
      .Launch(10)
      .Collective(6, {0})
      .Launch(10)
      .Launch(1, {1})
      .OfUpdate()
      .Collective(6, {2})
      .Launch(1, {4})
      .OfUpdate();
}

}  // namespace wsi
