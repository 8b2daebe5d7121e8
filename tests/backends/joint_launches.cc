// Launches that a backend takes together give what they give one by one, bit for bit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "runtime/workspace/workspace.h"
#include "tests/backends/backend_cases.h"
#include "tests/backends/backend_suite.h"

namespace wsi {
namespace {

constexpr Bytes kGuard = 256;
constexpr Bytes kMostWorkspace = Bytes{1} << 20;

// Launches of one operator with their operands in one arena.
class Batch {
 public:
  Batch(std::string op, Attributes attributes)
      : op_(std::move(op)), attributes_(std::move(attributes)) {}

  // Where a tensor of `numbers` lies.
  Bytes Place(const std::vector<float>& numbers, Bytes misaligned = 0) {
    image_.resize(static_cast<size_t>(AlignUp(static_cast<Bytes>(image_.size()), kGuard) + kGuard +
                                      misaligned));
    const auto at = static_cast<Bytes>(image_.size());
    const auto bytes = std::as_bytes(std::span(numbers));
    image_.insert(image_.end(), bytes.begin(), bytes.end());
    return at;
  }
  Bytes PlaceStep(int64_t step) {
    std::vector<float> halves(2);
    std::memcpy(halves.data(), &step, sizeof(step));
    return Place(halves);
  }
  // `inputs` and `outputs`: places and shapes; a place of -1 is absent.
  struct Operand {
    Bytes at = -1;
    Shape shape = {};
    DType dtype = DType::kF32;
  };
  void Add(const std::vector<Operand>& inputs, const std::vector<Operand>& outputs) {
    One& one = launches_.emplace_back();
    const auto specs = [](const std::vector<Operand>& operands) {
      std::vector<OperandSpec> result;
      result.reserve(operands.size());
      for (const Operand& o : operands) result.push_back({o.at >= 0, o.dtype, o.shape});
      return result;
    };
    one.inputs = specs(inputs);
    one.outputs = specs(outputs);
    for (const Operand& o : inputs) one.inputs_at.push_back(o.at);
    for (const Operand& o : outputs) one.outputs_at.push_back(o.at);
  }

  void ExpectTheSame(Backend& backend) { Run(backend, true); }
  // That they are not taken together.
  void ExpectOneByOne(Backend& backend) { Run(backend, false); }

 private:
  struct One {
    std::vector<OperandSpec> inputs, outputs;
    std::vector<Bytes> inputs_at, outputs_at;
    std::vector<const std::byte*> in;
    std::vector<std::byte*> out;
  };
  void Run(Backend& backend, bool joins) {
    const auto arena = backend.AllocateDevice(static_cast<Bytes>(image_.size()));
    ASSERT_TRUE(arena.ok());
    const auto lane = backend.MakeLane("compute");
    ASSERT_TRUE(lane.ok());
    Point((*arena)->data());
    // All of them use it, one after the other.
    const auto workspace = backend.AllocateDevice(kMostWorkspace);
    ASSERT_TRUE(workspace.ok());
    std::vector<LaunchSpec> specs;
    std::vector<LaunchArguments> arguments;
    std::vector<std::unique_ptr<Kernel>> kernels;
    for (const One& one : launches_) {
      specs.push_back({op_, "node", attributes_, one.inputs, one.outputs});
      const auto bytes = WorkspaceOf(specs.back(), {.device = std::string(backend.name())});
      ASSERT_TRUE(bytes.ok() && *bytes <= kMostWorkspace);
      specs.back().workspace_bytes = *bytes;
      arguments.push_back({one.in, one.out, (*workspace)->data()});
      auto kernel = backend.Compile(specs.back());
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      kernels.push_back(std::move(kernel).value());
    }
    auto joint = backend.CompileTogether(specs, arguments);
    ASSERT_TRUE(joint.ok()) << joint.status().message();
    if (backend.name() != "cuda" || !joins) {
      EXPECT_EQ(*joint, nullptr);
      return;
    }
    ASSERT_NE(*joint, nullptr);
    const auto after = [&](const auto& enqueue) {
      std::vector<std::byte> bytes(image_.size());
      EXPECT_TRUE(backend.Write((*arena)->data(), image_).ok());
      enqueue();
      const Status done = (*lane)->Synchronize();
      EXPECT_TRUE(done.ok()) << done.message();
      EXPECT_TRUE(backend.Read(bytes, (*arena)->data()).ok());
      return bytes;
    };
    const auto one_by_one = after([&] {
      for (size_t i = 0; i < kernels.size(); ++i) {
        EXPECT_TRUE((*lane)->Launch(*kernels[i], arguments[i]).ok());
      }
    });
    const auto together = after([&] { EXPECT_TRUE((*lane)->Launch(**joint, {}).ok()); });
    EXPECT_NE(one_by_one, image_);
    const auto at = std::mismatch(together.begin(), together.end(), one_by_one.begin()).first;
    EXPECT_EQ(at, together.end()) << "byte " << at - together.begin();
  }
  void Point(std::byte* base) {
    for (One& one : launches_) {
      for (const Bytes at : one.inputs_at) one.in.push_back(at < 0 ? nullptr : base + at);
      for (const Bytes at : one.outputs_at) one.out.push_back(at < 0 ? nullptr : base + at);
    }
  }

  std::string op_;
  Attributes attributes_;
  std::vector<std::byte> image_;
  std::vector<One> launches_;
};

// More tensors than one table takes, some of more than a chunk, some at odd addresses.
std::vector<int64_t> Sizes() {
  std::vector<int64_t> sizes = {1, 3, 40000, 16384, 16385, 0, 5};
  for (int64_t i = 0; i < 170; ++i) sizes.push_back(1 + 7 * i % 64);
  return sizes;
}

std::vector<float> Numbers(int64_t count, int64_t stream) {
  const Tensor random = RandomTensor({Shape{count}}, 1, stream).Cast(DType::kF32).value();
  return {random.data<float>().begin(), random.data<float>().end()};
}

class JointLaunches : public testing::Test {
 protected:
  void SetUp() override {
    backend_ = MakeBackendUnderTest();
    if (!backend_) GTEST_SKIP() << "the backend's device is not there";
  }

  // Parameters in place, as plans have them; the gradients' scale is 0.25.
  void ExpectUpdates(const std::string& op, const Attributes& attributes, int states,
                     float finite) {
    Batch batch(op, attributes);
    const Batch::Operand lr = {batch.Place({0.125F})};
    const Batch::Operand step = {batch.PlaceStep(7), {}, DType::kI64};
    const Batch::Operand scale = {batch.Place({0.25F})};
    const Batch::Operand flag = {batch.Place({finite})};
    int64_t stream = 0;
    for (const int64_t size : Sizes()) {
      const Bytes misaligned = stream % 5 == 4 ? 4 : 0;
      std::vector<Batch::Operand> own;
      for (int k = 0; k < 2 + states; ++k) {
        std::vector<float> numbers = Numbers(size, stream++);
        for (float& v : numbers) v = k < 2 ? v : v * v;
        own.push_back({batch.Place(numbers, misaligned), {size}});
      }
      std::vector<Batch::Operand> outputs = {own[0]};
      outputs.insert(outputs.end(), own.begin() + 2, own.end());
      std::vector<Batch::Operand> inputs = own;
      inputs.push_back(lr);
      if (states == 2) inputs.push_back(step);
      inputs.push_back(scale);
      inputs.push_back(flag);
      batch.Add(inputs, outputs);
    }
    batch.ExpectTheSame(*backend_);
  }

  std::unique_ptr<Backend> backend_;
};

TEST_F(JointLaunches, Sgd) { ExpectUpdates("SgdUpdate", {{"weight_decay", 0.01}}, 0, 1); }
TEST_F(JointLaunches, Momentum) {
  const Attributes attributes = {{"momentum", 0.9}, {"nesterov", int64_t{1}}};
  ExpectUpdates("MomentumUpdate", attributes, 1, 1);
}
TEST_F(JointLaunches, Adam) {
  const Attributes attributes = {{"beta1", 0.9},
                                 {"beta2", 0.999},
                                 {"epsilon", 1e-8},
                                 {"weight_decay", 0.01},
                                 {"decoupled", int64_t{1}}};
  ExpectUpdates("AdamUpdate", attributes, 2, 1);
}

// In place, as plans have them.
TEST_F(JointLaunches, MovingAverage) {
  Batch batch("MovingAverage", {{"momentum", 0.9}});
  int64_t stream = 0;
  for (const int64_t size : Sizes()) {
    const Batch::Operand old = {batch.Place(Numbers(size, stream++)), {size}};
    const Batch::Operand current = {batch.Place(Numbers(size, stream++)), {size}};
    batch.Add({old, current}, {old});
  }
  batch.ExpectTheSame(*backend_);
}
// Each goes on with what the one before it left.
TEST_F(JointLaunches, MovingAverageOfOneState) {
  Batch batch("MovingAverage", {{"momentum", 0.9}});
  const Batch::Operand state = {batch.Place(Numbers(70, 0)), {70}};
  for (int64_t i = 1; i < 4; ++i) {
    batch.Add({state, {batch.Place(Numbers(70, i)), {70}}}, {state});
  }
  batch.ExpectOneByOne(*backend_);
}

class JointFlags : public JointLaunches {
 protected:
  // A chain over gradients of which number `bad` is not finite. Its flags lie in one place,
  // but from number `moved` on in another.
  void ExpectFlags(size_t bad, bool first_has_one, size_t moved = kNever) {
    Batch batch("AllFinite", {});
    const Batch::Operand places[] = {{batch.Place({first_has_one ? 1.0F : 0.5F})},
                                     {batch.Place({0.25F})}};
    const std::vector<int64_t> sizes = Sizes();
    for (size_t i = 0; i < sizes.size(); ++i) {
      std::vector<float> numbers = Numbers(sizes[i], static_cast<int64_t>(i));
      if (i == bad) numbers.back() = std::numeric_limits<float>::quiet_NaN();
      const Batch::Operand x = {batch.Place(numbers, i % 5 == 4 ? 4 : 0), {sizes[i]}};
      const Batch::Operand before = places[i > moved ? 1 : 0];
      batch.Add(i > 0 || first_has_one ? std::vector{x, before} : std::vector{x},
                {places[i >= moved ? 1 : 0]});
    }
    batch.ExpectTheSame(*backend_);
  }
  static constexpr size_t kNever = 1000;
};

TEST_F(JointFlags, AllFinite) { ExpectFlags(kNever, false); }
TEST_F(JointFlags, OneIsNot) {
  for (const size_t bad : {size_t{2}, size_t{176}}) ExpectFlags(bad, true);
}
TEST_F(JointFlags, OneIsNotAndNoneWasBefore) { ExpectFlags(100, false); }
TEST_F(JointFlags, LastIsElsewhere) {
  for (const size_t bad : {size_t{2}, size_t{176}}) ExpectFlags(bad, false, 176);
}
TEST_F(JointFlags, FirstIsElsewhere) { ExpectFlags(0, true, 1); }

}  // namespace
}  // namespace wsi
