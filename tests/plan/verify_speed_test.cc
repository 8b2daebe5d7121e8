#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "runtime/plan/plan.pb.h"
#include "runtime/plan/verify_plan.h"

namespace wsi {
namespace {

constexpr int kSteps = 4000;

// A chain with the shape of a deep network's training: step i makes map i, every map
// of the first half is read again in the second, half of them are offloaded between.
plan::Plan MakeDeepPlan() {
  plan::Plan plan;
  plan.set_device_peak_bytes(int64_t{kSteps} * 1024);
  plan.set_host_peak_bytes(int64_t{kSteps} * 1024);
  const auto add = [&](int64_t offset, int begin, int end, plan::Tier tier) {
    plan::Buffer* buffer = plan.add_buffers();
    buffer->set_tier(tier);
    buffer->set_offset(offset);
    buffer->set_size(1024);
    buffer->set_begin(begin);
    buffer->set_end(end);
    plan::Value* value = plan.add_values();
    value->set_name("v");
    value->set_dtype(1);
    value->add_dims(256);
    value->set_buffer(plan.buffers_size() - 1);
    return plan.values_size() - 1;
  };
  plan::Program* train = plan.add_programs();
  train->set_name("train");
  train->set_target(-1);
  train->set_loss(-1);
  const auto launch = [&](std::vector<int32_t> inputs, int32_t output) {
    plan::Instruction* instruction = train->add_instructions();
    instruction->mutable_launch()->set_op("Op");
    instruction->mutable_launch()->set_workspace(-1);
    instruction->mutable_launch()->mutable_inputs()->Add(inputs.begin(), inputs.end());
    instruction->mutable_launch()->add_outputs(output);
    return instruction;
  };
  std::vector<int32_t> forward;
  for (int i = 0; i < kSteps / 2; ++i) {
    forward.push_back(add(int64_t{i} * 1024, i, kSteps, plan::TIER_DEVICE));
    launch(i == 0 ? std::vector<int32_t>{} : std::vector<int32_t>{forward.back() - 1},
           forward.back());
  }
  int32_t last = forward.back();
  for (int i = kSteps / 2; i < kSteps; ++i) {
    const int32_t saved = forward[static_cast<size_t>(kSteps - 1 - i)];
    if (i % 4 == 0) {  // A copy out, for the sake of a second lane.
      const int32_t host = add(int64_t{i} * 1024, i, kSteps, plan::TIER_HOST);
      plan::Instruction* copy = train->add_instructions();
      copy->set_lane(plan::LANE_OUT);
      copy->add_waits(i - 1);
      copy->mutable_copy()->set_from(plan.values(saved).buffer());
      copy->mutable_copy()->set_to(plan.values(host).buffer());
      continue;
    }
    const int32_t grad = add(int64_t{i} * 1024, i, kSteps, plan::TIER_DEVICE);
    launch({last, saved}, grad);
    last = grad;
  }
  return plan;
}

TEST(VerifyPlan, FourThousandInstructionsTakeAFractionOfASecond) {
  const plan::Plan plan = MakeDeepPlan();
  const auto start = std::chrono::steady_clock::now();
  const Status status = VerifyPlan(plan);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_LT(elapsed.count(), 0.5);
  RecordProperty("milliseconds", static_cast<int>(elapsed.count() * 1e3));
}

}  // namespace
}  // namespace wsi
