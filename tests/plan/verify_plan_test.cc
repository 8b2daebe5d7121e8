#include "runtime/plan/verify_plan.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/plan/small_plan.h"

namespace wsi {
namespace {

using plan::Plan;
using testing::HasSubstr;

plan::Instruction* Train(Plan& plan, int i) {
  return plan.mutable_programs(0)->mutable_instructions(i);
}
plan::Buffer* BufferOf(Plan& plan, const std::string& value) {
  return plan.mutable_buffers(plan.values(ValueIndex(plan, value)).buffer());
}
plan::Value* ValueOf(Plan& plan, const std::string& value) {
  return plan.mutable_values(ValueIndex(plan, value));
}

TEST(VerifyPlan, AcceptsTheSmallPlan) {
  const Status status = VerifyPlan(MakeSmallPlan());
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(VerifyPlan, AcceptsAPermutedInput) {
  Plan plan = MakeSmallPlan();
  ValueOf(plan, "x")->add_permutation(1);
  ValueOf(plan, "x")->add_permutation(0);
  EXPECT_TRUE(VerifyPlan(plan).ok());
}

struct Mutation {
  const char* message;  // Part of the error.
  std::function<void(Plan&)> apply;
};

void ExpectCaught(const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    Plan plan = MakeSmallPlan();
    mutation.apply(plan);
    const Status status = VerifyPlan(plan);
    EXPECT_EQ(status.code(), ErrorCode::kInvalidInput) << mutation.message;
    EXPECT_THAT(status.message(), HasSubstr(mutation.message));
  }
}

TEST(VerifyPlan, Names) {
  ExpectCaught({
      {"no program", [](Plan& p) { p.clear_programs(); }},
      {"two programs are called 'train'",
       [](Plan& p) { p.mutable_programs(1)->set_name("train"); }},
      {"two persistents are called 'w'",
       [](Plan& p) { p.mutable_persistents(1)->set_onnx_name("w"); }},
      {"negative arena size", [](Plan& p) { p.set_host_peak_bytes(-1); }},
      {"negative accumulation_steps",
       [](Plan& p) { p.mutable_training()->set_accumulation_steps(-1); }},
  });
}

TEST(VerifyPlan, AmountsOfWork) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ExpectCaught({
      {"rates: a number", [=](Plan& p) { p.mutable_rates()->set_memory_bytes(nan); }},
      {"rates: a number", [](Plan& p) { p.mutable_rates()->set_launch_seconds(-1); }},
      {"rates: a number",
       [=](Plan& p) { (*p.mutable_rates()->mutable_operators())["Mul"].set_flops_half(nan); }},
      {"instruction 2 'Sub_node' (Sub): flops or bytes",
       [=](Plan& p) { Train(p, 2)->mutable_launch()->set_flops(nan); }},
      {"flops or bytes", [](Plan& p) { Train(p, 2)->mutable_launch()->set_bytes(-1); }},
      {"flops or bytes",
       [](Plan& p) {
         Train(p, 2)->mutable_launch()->set_bytes(std::numeric_limits<double>::infinity());
       }},
  });
}

TEST(VerifyPlan, Buffers) {
  const int64_t max = std::numeric_limits<int64_t>::max();
  ExpectCaught({
      {"unknown tier", [](Plan& p) { BufferOf(p, "h")->set_tier(static_cast<plan::Tier>(9)); }},
      {"negative offset", [](Plan& p) { BufferOf(p, "h")->set_offset(-256); }},
      {"negative offset or size", [](Plan& p) { BufferOf(p, "h")->set_size(-1); }},
      {"not a multiple of 256", [](Plan& p) { BufferOf(p, "h")->set_offset(1540); }},
      {"overflows", [=](Plan& p) { BufferOf(p, "h")->set_size(max); }},
      {"of an arena of", [](Plan& p) { BufferOf(p, "h")->set_size(1 << 20); }},
      {"of an arena of", [](Plan& p) { p.set_device_peak_bytes(2304); }},
      {"program 2 of 2", [](Plan& p) { BufferOf(p, "h")->set_program(2); }},
      {"program -2 of 2", [](Plan& p) { BufferOf(p, "h")->set_program(-2); }},
      {"lifetime [-1", [](Plan& p) { BufferOf(p, "h")->set_begin(-1); }},
      {"lifetime", [](Plan& p) { BufferOf(p, "h")->set_end(10); }},
      {"lifetime", [](Plan& p) { BufferOf(p, "w.grad")->set_begin(10); }},
  });
}

TEST(VerifyPlan, Values) {
  ExpectCaught({
      {"unknown role", [](Plan& p) { ValueOf(p, "h")->set_role(static_cast<plan::Role>(7)); }},
      {"0 is not the number", [](Plan& p) { ValueOf(p, "h")->set_dtype(0); }},
      {"is not the number", [](Plan& p) { ValueOf(p, "h")->set_dtype(4000000000U); }},
      {"negative size", [](Plan& p) { ValueOf(p, "h")->set_dims(0, -2); }},
      {"overflows", [](Plan& p) { ValueOf(p, "h")->set_dims(0, int64_t{1} << 61); }},
      {"its buffer has", [](Plan& p) { ValueOf(p, "h")->set_dims(0, 3); }},
      {"rank 17",
       [](Plan& p) {
         for (int i = 0; i < 15; ++i) ValueOf(p, "h")->add_dims(1);
       }},
      {"buffer -1", [](Plan& p) { ValueOf(p, "h")->set_buffer(-1); }},
      {"buffer 999", [](Plan& p) { ValueOf(p, "h")->set_buffer(999); }},
      {"permutation of neither", [](Plan& p) { ValueOf(p, "h")->add_permutation(0); }},
      {"permutation is none", [](Plan& p) { ValueOf(p, "t")->add_permutation(0); }},
      {"permutation is none",
       [](Plan& p) {
         ValueOf(p, "t")->add_permutation(1);
         ValueOf(p, "t")->add_permutation(1);
       }},
      {"permutation is none",
       [](Plan& p) {
         ValueOf(p, "t")->add_permutation(0);
         ValueOf(p, "t")->add_permutation(int64_t{1} << 40);
       }},
      {"not among the persistents",
       [](Plan& p) { ValueOf(p, "h")->set_role(plan::ROLE_PARAMETER); }},
  });
}

TEST(VerifyPlan, Persistents) {
  ExpectCaught({
      {"value 99", [](Plan& p) { p.mutable_persistents(0)->set_value(99); }},
      {"role is not a persistent one",
       [](Plan& p) { p.mutable_persistents(0)->set_value(ValueIndex(p, "w.new")); }},
      {"buffer is not persistent", [](Plan& p) { BufferOf(p, "w")->set_program(0); }},
      {"ranks", [](Plan& p) { p.mutable_persistents(0)->add_permutation(2); }},
      {"ranks", [](Plan& p) { p.mutable_persistents(0)->add_onnx_dims(1); }},
      {"permutation is none", [](Plan& p) { p.mutable_persistents(0)->set_permutation(1, 1); }},
      {"permutation is none", [](Plan& p) { p.mutable_persistents(0)->set_permutation(0, -1); }},
      {"permutation is none", [](Plan& p) { p.mutable_persistents(0)->set_permutation(0, 64); }},
      {"onnx_dims", [](Plan& p) { p.mutable_persistents(0)->clear_permutation(); }},
      {"bytes of data", [](Plan& p) { p.mutable_persistents(0)->set_data_bytes(23); }},
      {"negative data_offset", [](Plan& p) { p.mutable_persistents(0)->set_data_offset(-64); }},
      {"overflows",
       [](Plan& p) {
         p.mutable_persistents(0)->set_data_offset(std::numeric_limits<int64_t>::max());
       }},
      {"gradient of no parameter", [](Plan& p) { p.mutable_persistents(1)->set_gradient(0); }},
      {"gradient 99", [](Plan& p) { p.mutable_persistents(0)->set_gradient(99); }},
      {"gradient's shape",
       [](Plan& p) { p.mutable_persistents(0)->set_gradient(ValueIndex(p, "loss")); }},
      {"not in this program",
       [](Plan& p) { p.mutable_persistents(0)->set_gradient(ValueIndex(p, "sum")); }},
      {"shares its buffer", [](Plan& p) { ValueOf(p, "c")->set_buffer(0); }},
  });
}

TEST(VerifyPlan, Slots) {
  ExpectCaught({
      {"input: value -1", [](Plan& p) { p.mutable_programs(0)->set_inputs(0, -1); }},
      {"input: value", [](Plan& p) { p.mutable_programs(0)->set_inputs(0, 0); }},
      {"input: value",
       [](Plan& p) { p.mutable_programs(1)->set_inputs(0, p.programs(0).inputs(0)); }},
      {"target: value 0", [](Plan& p) { p.mutable_programs(0)->set_target(0); }},
      {"scalar 'lr' has more",
       [](Plan& p) {
         BufferOf(p, "lr")->set_size(8);
         ValueOf(p, "lr")->add_dims(2);
       }},
      {"two scalars",
       [](Plan& p) { p.mutable_programs(0)->add_scalars(p.programs(0).scalars(0)); }},
      {"output: value 77", [](Plan& p) { p.mutable_programs(1)->set_outputs(0, 77); }},
      {"loss: value -2", [](Plan& p) { p.mutable_programs(0)->set_loss(-2); }},
      {"not one float", [](Plan& p) { p.mutable_programs(0)->set_loss(ValueIndex(p, "d")); }},
      {"not one float", [](Plan& p) { ValueOf(p, "loss")->set_dtype(6); }},
      {"before the first instruction", [](Plan& p) { BufferOf(p, "t")->set_begin(1); }},
      {"shares its buffer",
       [](Plan& p) { p.mutable_programs(0)->add_inputs(p.programs(0).inputs(0)); }},
      {"is not live", [](Plan& p) { BufferOf(p, "loss")->set_end(8); }},
  });
}

TEST(VerifyPlan, Instructions) {
  ExpectCaught({
      {"unknown lane", [](Plan& p) { Train(p, 1)->set_lane(static_cast<plan::Lane>(9)); }},
      {"unknown lane or phase",
       [](Plan& p) { Train(p, 1)->set_phase(static_cast<plan::Phase>(-1)); }},
      {"not before it", [](Plan& p) { Train(p, 6)->set_waits(0, 6); }},
      {"not before it", [](Plan& p) { Train(p, 6)->set_waits(0, -1); }},
      {"neither launch", [](Plan& p) { Train(p, 8)->clear_kind(); }},
      {"outside the compute lane", [](Plan& p) { Train(p, 0)->set_lane(plan::LANE_COMM); }},
      {"no operator", [](Plan& p) { Train(p, 0)->mutable_launch()->clear_op(); }},
      {"input: value 500", [](Plan& p) { Train(p, 0)->mutable_launch()->set_inputs(0, 500); }},
      {"output: value -2", [](Plan& p) { Train(p, 0)->mutable_launch()->set_outputs(0, -2); }},
      {"input: value",
       [](Plan& p) { Train(p, 0)->mutable_launch()->set_inputs(0, ValueIndex(p, "sum")); }},
      {"two outputs",
       [](Plan& p) { Train(p, 0)->mutable_launch()->add_outputs(ValueIndex(p, "d")); }},
      {"writes a constant",
       [](Plan& p) { Train(p, 0)->mutable_launch()->set_outputs(0, ValueIndex(p, "c")); }},
      {"workspace: buffer 99", [](Plan& p) { Train(p, 3)->mutable_launch()->set_workspace(99); }},
      {"has no value, or two",
       [](Plan& p) { Train(p, 0)->mutable_launch()->add_attributes()->set_name("a"); }},
      {"copies buffer -1", [](Plan& p) { Train(p, 1)->mutable_copy()->set_from(-1); }},
      {"not neighbours",
       [](Plan& p) { Train(p, 1)->mutable_copy()->set_to(p.values(ValueIndex(p, "h")).buffer()); }},
      {"bytes into",
       [](Plan& p) {
         p.set_host_peak_bytes(48);
         p.mutable_buffers(Train(p, 1)->copy().to())->set_size(48);
       }},
  });
}

TEST(VerifyPlan, Memory) {
  ExpectCaught({
      {"overlap while both are live", [](Plan& p) { BufferOf(p, "h")->set_offset(1024); }},
      {"overlap while both are live", [](Plan& p) { BufferOf(p, "h")->set_offset(0); }},
      {"overlap while both are live", [](Plan& p) { BufferOf(p, "c")->set_offset(256); }},
      {"overlap while both are live", [](Plan& p) { BufferOf(p, "x")->set_end(6); }},
      {"workspace, buffer",
       [](Plan& p) { p.mutable_buffers(Train(p, 3)->launch().workspace())->set_end(3); }},
      {"an input is its workspace",
       [](Plan& p) {
         Train(p, 3)->mutable_launch()->set_workspace(p.values(ValueIndex(p, "d")).buffer());
       }},
      {"an output is its workspace",
       [](Plan& p) {
         Train(p, 3)->mutable_launch()->set_workspace(p.values(ValueIndex(p, "loss")).buffer());
       }},
  });
}

TEST(VerifyPlan, Contents) {
  ExpectCaught({
      {"not live", [](Plan& p) { BufferOf(p, "h")->set_end(6); }},
      {"not live", [](Plan& p) { BufferOf(p, "w.grad")->set_begin(7); }},
      {"not live", [](Plan& p) { p.mutable_buffers(Train(p, 1)->copy().to())->set_begin(2); }},
      {"before it is written",
       [](Plan& p) {
         BufferOf(p, "w.grad")->set_begin(0);
         Train(p, 2)->mutable_launch()->set_inputs(0, ValueIndex(p, "w.grad"));
       }},
      {"buffer 4 holds 'd'",  // h is gone: d took its place.
       [](Plan& p) {
         p.mutable_buffers(Train(p, 1)->copy().to())->set_end(6);
         Train(p, 6)->mutable_launch()->set_inputs(0, ValueIndex(p, "h"));
       }},
      {"before it is written",
       [](Plan& p) {
         Train(p, 1)->mutable_barrier();
         Train(p, 1)->set_lane(plan::LANE_OUT);
       }},
      {"of another type or size", [](Plan& p) { ValueOf(p, "w.new")->set_dims(1, 2); }},
      {"which only the update phase", [](Plan& p) { Train(p, 0)->set_phase(plan::PHASE_UPDATE); }},
      {"a constant",  // Written under another name.
       [](Plan& p) { ValueOf(p, "sum")->set_buffer(p.values(ValueIndex(p, "c")).buffer()); }},
  });
}

TEST(VerifyPlan, Order) {
  ExpectCaught({
      {"reads buffer", [](Plan& p) { Train(p, 6)->clear_waits(); }},
      {"without waiting for instruction 1",
       [](Plan& p) {
         Train(p, 5)->clear_waits();
         Train(p, 5)->add_waits(0);
       }},
      {"without waiting for instruction 0",
       [](Plan& p) {
         Train(p, 5)->clear_waits();
         Train(p, 5)->add_waits(1);
       }},
  });
}

// A barrier orders everything, whichever lane it stands in.
TEST(VerifyPlan, BarrierOrdersAllLanes) {
  Plan plan = MakeSmallPlan();
  Train(plan, 5)->clear_waits();
  EXPECT_FALSE(VerifyPlan(plan).ok());
  Train(plan, 4)->mutable_barrier();
  Train(plan, 4)->set_lane(plan::LANE_COMM);
  const Status status = VerifyPlan(plan);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(VerifyPlan, ViewKeepsItsInputReadable) {
  Plan plan = MakeSmallPlan();
  plan.mutable_programs(1)->add_outputs(ValueIndex(plan, "sum"));
  EXPECT_TRUE(VerifyPlan(plan).ok());
  plan.mutable_programs(1)->mutable_instructions(2)->mutable_launch()->set_op("Relu");
  EXPECT_THAT(VerifyPlan(plan).message(), HasSubstr("holds 'out'"));
}

// Whatever a field is set to, the verifier returns; the sanitizers watch.
TEST(VerifyPlan, SurvivesRandomNumbersInEveryField) {
  const std::string good = MakeSmallPlan().SerializeAsString();
  const google::protobuf::LogSilencer quiet;
  std::mt19937 random(7);
  int parsed = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string bytes = good;
    for (int changes = 1 + trial % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    Plan plan;
    if (!plan.ParseFromString(bytes)) continue;
    ++parsed;
    const Status status = VerifyPlan(plan);
    if (!status.ok()) {
      EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
    }
  }
  EXPECT_GT(parsed, 2000);
}

}  // namespace
}  // namespace wsi
