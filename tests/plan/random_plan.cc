#include "tests/plan/random_plan.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runtime/plan/plan_types.h"
#include "tests/plan/place_randomly.h"
#include "tests/plan/plan_builder.h"

namespace wsi {
namespace {

using plan::PHASE_BACKWARD;
using plan::PHASE_FORWARD;
using plan::PHASE_UPDATE;
using plan::TIER_DEVICE;
using plan::TIER_FILE;
using plan::TIER_HOST;

// Contents somewhere in memory.
struct Item {
  int32_t value = -1;
  int64_t width = 0;
  bool of_update = false;  // Only the update phase may read it.
  bool keep = false;       // Its buffer is not to be given to others.
};

struct Home {
  int32_t value;
  plan::Tier tier;
  int64_t width;
};

class Maker {
 public:
  explicit Maker(const RandomPlanOptions& options)
      : options_(options), random_(options.seed), b_(DType::kF32) {}

  plan::Plan Make() {
    const int persistents = 2 + static_cast<int>(Below(4));
    for (int i = 0; i < persistents; ++i) AddPersistent(i);
    AddTrain();
    AddInfer();
    plan::Plan& plan = b_.plan();
    plan.set_device("cpu");
    plan.set_precision("fp32");
    plan.mutable_training()->set_loss("mse");
    plan.mutable_training()->set_optimizer("sgd");
    plan.mutable_training()->set_accumulation_steps(1);
    plan.mutable_training()->set_learning_rate(0.125);
    PlaceRandomly(plan, options_.file_alignment, random_);
    for (plan::Program& program : *plan.mutable_programs()) AddWaits(plan, program);
    return plan;
  }

 private:
  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(int percent) { return Below(100) < percent; }
  int64_t AnyWidth() { return options_.unit * (1 + Below(options_.widths)); }
  plan::Program& program() { return *b_.plan().mutable_programs(program_); }
  int Now() { return program().instructions_size(); }
  plan::Tier TierOf(int32_t value) {
    return b_.plan().buffers(b_.plan().values(value).buffer()).tier();
  }

  void AddPersistent(int i) {
    const int64_t width = AnyWidth();
    const auto tier = static_cast<plan::Tier>(Below(3));
    const plan::Role role = i == 0       ? plan::ROLE_PARAMETER
                            : Chance(50) ? plan::ROLE_PARAMETER
                            : Chance(50) ? plan::ROLE_STATE
                                         : plan::ROLE_CONSTANT;
    const int32_t value = b_.Value("p" + std::to_string(i), b_.Buffer(-1, 0, 4 * width, 0, 0, tier),
                                   {1, width}, role);
    b_.Persistent(value, Chance(70) ? 4 * width : 0);
    homes_.push_back({value, tier, width});
  }

  void Begin(const std::string& name) {
    b_.Program(name);
    program_ = b_.plan().programs_size() - 1;
    items_.clear();
    for (const Home& home : homes_) items_.push_back({home.value, home.width, false, true});
    const int64_t width = AnyWidth();
    for (int i = 0; i < 2; ++i) {
      const int32_t x = NewValue("x" + std::to_string(i), i == 0 ? width : AnyWidth(), TIER_DEVICE,
                                 plan::ROLE_INPUT);
      program().add_inputs(x);
    }
    phase_ = PHASE_FORWARD;
  }

  void AddTrain() {
    Begin("train");
    const int32_t lr = b_.Value("lr", b_.Buffer(program_, 0, 4, 0, 1), {}, plan::ROLE_SCALAR);
    program().add_scalars(lr);
    const int64_t width = items_.back().width;
    const int32_t target = NewValue("t", width, TIER_DEVICE, plan::ROLE_TARGET);
    program().set_target(target);
    for (int i = 0; i < options_.steps; ++i) {
      if (i == options_.steps / 2) {
        AddLoss(width, target);
        phase_ = PHASE_BACKWARD;
      }
      RandomStep();
    }
    for (int p = 0; p < static_cast<int>(homes_.size()); ++p) Update(p, lr);
    Finish();
  }

  void AddInfer() {
    Begin("infer");
    for (int i = 0; i < options_.steps / 4; ++i) RandomStep();
    const int32_t out = Output(OnDevice(AnyWidth()));
    program().add_outputs(out);
    Finish();
  }

  // A new buffer; it lives until whoever used it last.
  int32_t NewValue(const std::string& name, int64_t width, plan::Tier tier,
                   plan::Role role = plan::ROLE_INTERMEDIATE) {
    const int32_t buffer = b_.Buffer(program_, 0, 4 * width, Now(), Now() + 1, tier);
    const int32_t value = b_.Value(name, buffer, {1, width}, role);
    items_.push_back({value, width, phase_ == PHASE_UPDATE, false});
    return value;
  }
  std::string Name() { return "v" + std::to_string(b_.plan().values_size()); }
  // Another value in the buffer of `value`; what else that holds is gone unless `is_view`.
  int32_t InPlace(int32_t value, bool is_view) {
    const plan::Value old = b_.plan().values(value);
    const Item item = *Find(value);
    if (!is_view) {
      std::erase_if(items_, [&](const Item& other) {
        return b_.plan().values(other.value).buffer() == old.buffer();
      });
    }
    const int32_t made = b_.Value(Name(), old.buffer(), {1, item.width});
    items_.push_back(
        {made, item.width, phase_ == PHASE_UPDATE || (is_view && item.of_update), item.keep});
    return made;
  }
  std::vector<Item>::iterator Find(int32_t value) {
    const auto at = std::find_if(items_.begin(), items_.end(),
                                 [&](const Item& item) { return item.value == value; });
    WSI_CHECK(at != items_.end());
    return at;
  }
  void Use(int32_t value) { UseBuffer(b_.plan().values(value).buffer()); }
  void UseBuffer(int32_t index) {  // By the instruction that is about to be added.
    plan::Buffer* buffer = b_.plan().mutable_buffers(index);
    if (buffer->program() >= 0) buffer->set_end(std::max<int64_t>(buffer->end(), Now() + 1));
  }

  // An item that this phase may read; none: -1.
  int32_t Any(plan::Tier tier, int64_t width = 0) {
    std::vector<int32_t> found;
    for (const Item& item : items_) {
      if (TierOf(item.value) == tier && (width == 0 || item.width == width) &&
          (!item.of_update || phase_ == PHASE_UPDATE)) {
        found.push_back(item.value);
      }
    }
    if (found.empty()) return -1;
    const int64_t count = static_cast<int64_t>(found.size());
    return found[static_cast<size_t>(Below(count))];
  }
  // Brings something of that width to the device, or makes it.
  int32_t OnDevice(int64_t width) {
    int32_t value = Any(TIER_DEVICE, width);
    if (value < 0 && (value = Any(TIER_HOST, width)) >= 0) value = Move(value, TIER_DEVICE);
    if (value < 0 && (value = Any(TIER_FILE, width)) >= 0) {
      value = Move(Move(value, TIER_HOST), TIER_DEVICE);
    }
    if (value >= 0) return value;
    const int32_t made = NewValue(Name(), width, TIER_DEVICE);
    plan::Launch* launch = b_.Launch("Fill", {}, {made}, phase_);
    StoreAttributes({{"value", 0.5}, {"shape", std::vector<int64_t>{1, width}}, {"dtype", "f32"}},
                    launch->mutable_attributes());
    return made;
  }

  int32_t Move(int32_t from, plan::Tier to) {
    return CopyTo(from, NewValue(Name(), Find(from)->width, to));
  }
  // Copies into the buffer of `result`.
  int32_t CopyTo(int32_t from, int32_t result) {
    const plan::Tier to = TierOf(result);
    const plan::Lane lane = to == TIER_DEVICE             ? plan::LANE_IN
                            : to == TIER_FILE             ? plan::LANE_WRITE
                            : TierOf(from) == TIER_DEVICE ? plan::LANE_OUT
                                                          : plan::LANE_READ;
    Use(from);
    Use(result);
    plan::Copy* copy = b_.Copy(b_.plan().values(from).buffer(), b_.plan().values(result).buffer(),
                               lane, {}, phase_);
    if (Chance(70)) {
      copy->set_source(from);
      copy->set_result(result);
    }
    return result;
  }

  void RandomStep() {
    if (Chance(15) && items_.size() > 8) Drop();
    const int64_t choice = Below(100);
    if (choice < 50) return Compute();
    if (choice < 62) return MoveAny(TIER_DEVICE, TIER_HOST);
    if (choice < 76) return MoveAny(TIER_HOST, TIER_DEVICE);
    if (choice < 86) return MoveAny(TIER_HOST, TIER_FILE);
    if (choice < 97) return MoveAny(TIER_FILE, TIER_HOST);
    b_.Instruction("barrier", plan::LANE_COMPUTE, phase_, {})->mutable_barrier();
  }

  void MoveAny(plan::Tier from, plan::Tier to) {
    const int32_t value = Any(from);
    if (value < 0) return Compute();
    const Item item = *Find(value);
    // Sometimes over what another buffer held.
    const int32_t over = Any(to, item.width);
    if (over < 0 || Find(over)->keep || !Chance(25)) {
      Move(value, to);
      return;
    }
    CopyTo(value, InPlace(over, false));
  }

  void Compute() {
    const int64_t width = AnyWidth();
    const int32_t a = OnDevice(width);
    const int64_t kind = Below(5);
    if (kind == 0) return View(a);
    std::vector<int32_t> inputs = {a};
    if (kind < 3) inputs.push_back(Chance(50) ? a : OnDevice(width));
    static constexpr const char* kUnary[] = {"Neg", "Tanh", "Relu"};
    const std::string op = inputs.size() == 2 ? (Chance(50) ? "Add" : "Sub") : kUnary[Below(3)];
    for (const int32_t v : inputs) Use(v);
    const bool in_place = Chance(30) && !Find(a)->keep && !Pinned(a);
    const int32_t workspace = Chance(20) ? b_.Buffer(program_, 0, 64, Now(), Now() + 1) : -1;
    const int32_t out = in_place ? InPlace(a, false) : NewValue(Name(), width, TIER_DEVICE);
    b_.Launch(op, inputs, {out}, phase_)->set_workspace(workspace);
  }

  void View(int32_t a) {
    const int64_t width = Find(a)->width;
    Use(a);
    const bool same = Chance(60) && !Find(a)->keep;
    const int32_t out = same ? InPlace(a, true) : NewValue(Name(), width, TIER_DEVICE);
    StoreAttributes({{"shape", std::vector<int64_t>{1, width}}},
                    b_.Launch("Reshape", {a}, {out}, phase_)->mutable_attributes());
  }

  void AddLoss(int64_t width, int32_t target) {
    const int32_t scores = OnDevice(width);
    if (std::none_of(items_.begin(), items_.end(),
                     [&](const Item& item) { return item.value == target; })) {
      target = OnDevice(width);  // Something took its place.
    }
    Use(scores);
    Use(target);
    const int32_t buffer = b_.Buffer(program_, 0, 4, Now(), Now() + 1);
    const int32_t loss = b_.Value("loss", buffer, {});
    b_.Launch("MeanSquaredError", {scores, target}, {loss}, phase_);
    program().set_loss(loss);
    ends_.push_back(buffer);
  }

  // A gradient is some tensor of the parameter's size that is not an input.
  void Update(int p, int32_t lr) {
    const Home& home = homes_[static_cast<size_t>(p)];
    const plan::Role role = b_.plan().values(home.value).role();
    if (role == plan::ROLE_CONSTANT) return;
    if (std::none_of(items_.begin(), items_.end(),
                     [&](const Item& item) { return item.value == home.value; })) {
      return;
    }
    phase_ = PHASE_BACKWARD;
    const int32_t source = OnDevice(home.width);
    Use(source);
    const int32_t gradient = NewValue(Name(), home.width, TIER_DEVICE);
    b_.Launch("Tanh", {source}, {gradient}, phase_);
    if (role == plan::ROLE_PARAMETER) b_.plan().mutable_persistents(p)->set_gradient(gradient);
    if (Chance(50)) RandomStep();
    if (std::none_of(items_.begin(), items_.end(),
                     [&](const Item& item) { return item.value == gradient; })) {
      return;
    }
    // Running statistics change in every micro-step.
    phase_ = role == plan::ROLE_STATE && Chance(50) ? PHASE_BACKWARD : PHASE_UPDATE;
    int32_t at = home.value;
    if (home.tier == TIER_FILE) at = Move(at, TIER_HOST);
    if (home.tier != TIER_DEVICE) at = Move(at, TIER_DEVICE);
    for (const int32_t v : {at, gradient, lr}) Use(v);
    int32_t next = InPlace(at, false);
    StoreAttributes(
        {{"weight_decay", 0.0}},
        b_.Launch("SgdUpdate", {at, gradient, lr}, {next}, phase_)->mutable_attributes());
    if (home.tier == TIER_DEVICE) return;
    if (home.tier == TIER_FILE) next = Move(next, TIER_HOST);
    CopyTo(next, InPlace(home.value, false));
  }

  int32_t Output(int32_t from) {
    Use(from);
    const int32_t out = NewValue("out", Find(from)->width, TIER_DEVICE);
    b_.Launch("Tanh", {from}, {out}, phase_);
    ends_.push_back(b_.plan().values(out).buffer());
    return out;
  }

  bool Pinned(int32_t value) {
    return std::find(ends_.begin(), ends_.end(), b_.plan().values(value).buffer()) != ends_.end();
  }
  void Drop() {
    const auto at = items_.begin() + Below(static_cast<int64_t>(items_.size()));
    if (!at->keep) items_.erase(at);
  }

  void Finish() {
    for (const int32_t buffer : ends_) b_.plan().mutable_buffers(buffer)->set_end(Now());
    ends_.clear();
    for (plan::Buffer& buffer : *b_.plan().mutable_buffers()) {
      if (buffer.program() == program_) buffer.set_end(std::min<int64_t>(buffer.end(), Now()));
    }
  }

  RandomPlanOptions options_;
  std::mt19937_64 random_;
  PlanBuilder b_;
  int program_ = -1;
  plan::Phase phase_ = PHASE_FORWARD;
  std::vector<Home> homes_;
  std::vector<Item> items_;
  std::vector<int32_t> ends_;  // Buffers that live to the program's end.
};

}  // namespace

plan::Plan MakeRandomPlan(const RandomPlanOptions& options) { return Maker(options).Make(); }

PersistentSource RandomPlanData(const plan::Plan& plan) {
  return [&plan](int i) -> Result<Tensor> {
    const plan::Value& value = plan.values(plan.persistents(i).value());
    WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(DType::kF32, ValueShape(value)));
    for (size_t k = 0; k < tensor.data<float>().size(); ++k) {
      tensor.data<float>()[k] = 0.25F * static_cast<float>((k * 7 + static_cast<size_t>(i)) % 9);
    }
    return tensor;
  };
}

}  // namespace wsi
