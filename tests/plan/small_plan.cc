#include "tests/plan/small_plan.h"

#include <algorithm>
#include <vector>

#include "runtime/plan/plan_types.h"
#include "tests/plan/plan_builder.h"

namespace wsi {
namespace {

struct Persistents {
  int32_t w, total, c;
};

void AddTrain(PlanBuilder& b, const Persistents& p, Bytes map, Bytes one) {
  const int32_t x_buffer = b.Buffer(0, 768, map, 0, 2);
  const int32_t h_buffer = b.Buffer(0, 1536, map, 0, 7);
  const int32_t x_host = b.Buffer(0, 0, map, 1, 6, plan::TIER_HOST);
  const int32_t x2_buffer = b.Buffer(0, 768, map, 5, 7);
  const int32_t x = b.Value("x", x_buffer, {2, 3}, plan::ROLE_INPUT);
  const int32_t t = b.Value("t", b.Buffer(0, 1024, map, 0, 3), {2, 3}, plan::ROLE_TARGET);
  const int32_t lr = b.Value("lr", b.Buffer(0, 1280, one, 0, 9), {}, plan::ROLE_SCALAR);
  const int32_t h = b.Value("h", h_buffer, {2, 3});
  const int32_t d = b.Value("d", h_buffer, {2, 3});
  const int32_t loss = b.Value("loss", b.Buffer(0, 1792, one, 3, 9), {});
  const int32_t total = b.Value("total.new", b.plan().values(p.total).buffer(), {});
  const int32_t x2 = b.Value("x.back", x2_buffer, {2, 3});
  const int32_t g = b.Value("w.grad", b.Buffer(0, 2304, map, 6, 9), {2, 3});
  const int32_t w = b.Value("w.new", b.plan().values(p.w).buffer(), {2, 3});

  plan::Program* train = b.Program("train");
  train->add_inputs(x);
  train->set_target(t);
  train->add_scalars(lr);
  train->set_loss(loss);
  b.Launch("Mul", {x, p.w}, {h}, plan::PHASE_FORWARD);
  b.Copy(x_buffer, x_host, plan::LANE_OUT, {});
  b.Launch("Sub", {h, t}, {d}, plan::PHASE_FORWARD);
  b.Launch("HalfSumSquares", {d, -1}, {loss}, plan::PHASE_FORWARD)
      ->set_workspace(b.Buffer(0, 2048, 64, 3, 4));
  b.Launch("Add", {p.total, loss}, {total}, plan::PHASE_FORWARD);
  b.Copy(x_host, x2_buffer, plan::LANE_IN, {0, 1});
  b.Launch("Mul", {d, x2}, {g}, plan::PHASE_BACKWARD, {5});
  b.Launch("SgdUpdate", {p.w, g, lr}, {w}, plan::PHASE_UPDATE);
  b.Instruction("end", plan::LANE_COMPUTE, plan::PHASE_UPDATE, {})->mutable_barrier();
  for (plan::Persistent& persistent : *b.plan().mutable_persistents()) {
    if (persistent.value() == p.w) persistent.set_gradient(g);
  }
}

void AddInfer(PlanBuilder& b, const Persistents& p, Bytes map) {
  const int32_t out_buffer = b.Buffer(1, 1024, map, 0, 3);
  const int32_t x = b.Value("x", b.Buffer(1, 768, map, 0, 1), {2, 3}, plan::ROLE_INPUT);
  const int32_t h = b.Value("h.infer", out_buffer, {2, 3});
  const int32_t sum = b.Value("sum", out_buffer, {2, 3});
  const int32_t out = b.Value("out", out_buffer, {6});
  plan::Program* infer = b.Program("infer");
  infer->add_inputs(x);
  infer->add_outputs(out);
  b.Launch("Mul", {x, p.w}, {h}, plan::PHASE_FORWARD);
  b.Launch("Add", {h, p.c}, {sum}, plan::PHASE_FORWARD);
  StoreAttributes({{"shape", std::vector<int64_t>{6}}},
                  b.Launch("Reshape", {sum}, {out}, plan::PHASE_FORWARD)->mutable_attributes());
}

}  // namespace

plan::Plan MakeSmallPlan(DType dtype) {
  PlanBuilder b(dtype);
  const Bytes one = DTypeBytes(dtype);
  const Bytes map = 6 * one;
  Persistents p = {};
  p.w = b.Value("w", b.Buffer(-1, 0, map, 0, 0), {2, 3}, plan::ROLE_PARAMETER);
  p.total = b.Value("total", b.Buffer(-1, 256, one, 0, 0), {}, plan::ROLE_STATE);
  p.c = b.Value("c", b.Buffer(-1, 512, map, 0, 0), {2, 3}, plan::ROLE_CONSTANT);
  plan::Persistent* w = b.Persistent(p.w, map);
  w->clear_onnx_dims();
  w->add_onnx_dims(3);
  w->add_onnx_dims(2);
  w->add_permutation(1);
  w->add_permutation(0);
  b.Persistent(p.total, 0);
  b.Persistent(p.c, map);
  AddTrain(b, p, map, one);
  AddInfer(b, p, map);
  plan::Plan& plan = b.plan();
  plan.set_device("cpu");
  plan.set_precision("fp32");
  plan.set_device_peak_bytes(2304 + map);
  plan.set_host_peak_bytes(map);
  plan.mutable_provenance()->set_model_name("small.onnx");
  plan.mutable_provenance()->set_compiler("wsic test");
  plan.mutable_training()->set_loss("mse");
  plan.mutable_training()->set_optimizer("sgd");
  plan.mutable_training()->set_accumulation_steps(1);
  plan.mutable_training()->set_learning_rate(0.5);
  return plan;
}

PersistentSource SmallPlanData(const plan::Plan& plan) {
  return [&plan](int i) -> Result<Tensor> {
    const plan::Value& value = plan.values(plan.persistents(i).value());
    WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(DType::kF32, ValueShape(value)));
    for (size_t k = 0; k < tensor.data<float>().size(); ++k) {
      tensor.data<float>()[k] = value.name() == "w" ? static_cast<float>(k + 1) : 10.0F;
    }
    return tensor.Cast(ValueDType(value));
  };
}

int32_t ValueIndex(const plan::Plan& plan, const std::string& name) {
  const auto at = std::find_if(plan.values().begin(), plan.values().end(),
                               [&](const plan::Value& value) { return value.name() == name; });
  WSI_CHECK(at != plan.values().end());
  return static_cast<int32_t>(at - plan.values().begin());
}

}  // namespace wsi
