// Random plans with copies between all tiers, on the CPU backend: the same numbers as
// in memory that nothing shares, with everything evicted turned to NaN, and without.
#include "tests/plan/random_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/executor/executor.h"
#include "runtime/executor/managed_layout.h"
#include "runtime/plan/plan_types.h"
#include "tests/base/temp_folder.h"
#include "tests/plan/place_randomly.h"

namespace wsi {
namespace {

// Everything that a run leaves behind.
using Results = std::vector<Tensor>;

class RandomRun {
 public:
  RandomRun(const plan::Plan& plan, bool poison, FileOps* ops = nullptr)
      : backend_(MakeCpuBackend({.threads = 2})) {
    const std::string path = folder_.Path("random.plan");
    Check(WritePlan(path, plan, RandomPlanData(plan), {.force = true}));
    file_.emplace(ReadPlan(path).value());
    Result<std::unique_ptr<Executor>> made =
        Executor::Make(&*file_, backend_.get(),
                       {.poison = poison, .spill = {.folder = folder_.Path("."), .ops = ops}});
    Check(made.status());
    executor_ = std::move(made).value();
  }

  // A step without and one with the update, its gradients, and an inference.
  Results Run() {
    Results results;
    for (const Phases phases : {kNoUpdate, kAllPhases, kAllPhases}) {
      if (!phases.update) {
        executor_->SetGradientTap([&](const std::string&, Tensor gradient) {
          results.push_back(std::move(gradient));
          return Status();
        });
      }
      WriteInputs(0);
      const Result<double> loss = executor_->Run(0, phases);
      Check(loss.status());
      results.push_back(Tensor::Of<double>({1}, std::vector<double>{loss.ok() ? *loss : 0}));
      executor_->SetGradientTap(nullptr);
      AddPersistents(results);
    }
    WriteInputs(1);
    Check(executor_->Run(1, kAllPhases).status());
    results.push_back(executor_->ReadOutput(1, 0).value());
    AddPersistents(results);
    return results;
  }

  Status Train() {
    WriteInputs(0);
    return executor_->Run(0, kAllPhases).status();
  }

  // Puts the persistent values of `other` here.
  void TakeFrom(RandomRun& other) {
    for (int i = 0; i < executor_->plan().persistents_size(); ++i) {
      Check(executor_->WritePersistent(i, other.executor_->ReadPersistent(i).value()));
    }
  }

 private:
  static void Check(const Status& status) { EXPECT_EQ(status.message(), ""); }
  static Tensor Numbers(const plan::Value& value, int from) {
    Tensor tensor = Tensor::Make(DType::kF32, ValueShape(value)).value();
    for (float& x : tensor.data<float>()) x = 0.125F * static_cast<float>(from++ % 17 - 8);
    return tensor;
  }
  void WriteInputs(int program) {
    const plan::Program& p = executor_->plan().programs(program);
    for (int i = 0; i < p.inputs_size(); ++i) {
      const plan::Value& value = executor_->plan().values(p.inputs(i));
      Check(executor_->WriteInput(program, i, Numbers(value, 3 + i)));
    }
    if (p.target() < 0) return;
    Check(executor_->WriteTarget(program, Numbers(executor_->plan().values(p.target()), 7)));
  }
  void AddPersistents(Results& results) {
    for (int i = 0; i < executor_->plan().persistents_size(); ++i) {
      results.push_back(executor_->ReadPersistent(i).value());
    }
  }

  TempFolder folder_;
  std::unique_ptr<Backend> backend_;
  std::optional<PlanFile> file_;
  std::unique_ptr<Executor> executor_;
};

bool AllFinite(const Results& results) {
  for (const Tensor& tensor : results) {
    for (const double x : tensor.ToDoubles()) {
      if (!std::isfinite(x)) return false;
    }
  }
  return true;
}

void ExpectSameNumbers(const RandomPlanOptions& options) {
  const plan::Plan plan = MakeRandomPlan(options);
  RandomRun apart(WithoutSharing(plan), false);
  const Results wanted = apart.Run();
  EXPECT_TRUE(AllFinite(wanted)) << "seed " << options.seed;
  plan::Plan managed = plan;
  managed.set_managed(true);
  const auto expect = [&](const plan::Plan& run, bool poison, const char* how) {
    RandomRun shared(run, poison);
    const Results found = shared.Run();
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(found[i] == wanted[i]) << "seed " << options.seed << how << ", result " << i;
    }
  };
  expect(plan, false, "");
  expect(plan, true, ", poisoned");
  expect(managed, false, ", managed");
}

TEST(RandomPlans, GiveTheNumbersOfUnsharedMemory) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    ExpectSameNumbers({.seed = seed, .steps = 10 + static_cast<int>(seed)});
    if (HasFatalFailure()) return;
  }
}

// The test above would hold as well if none did.
TEST(RandomPlans, ManagedOnesDoShareMemory) {
  int64_t shared = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const plan::Plan plan = MakeRandomPlan({.seed = seed, .steps = 40});
    const ManagedLayout layout = ComputeManagedLayout(plan).value();
    shared += std::count(layout.shared.begin(), layout.shared.end(), true);
  }
  EXPECT_GT(shared, 100);
}

// Large enough for copies that take a while and for transfers past the page cache.
TEST(RandomPlans, AlsoOfLargeTensorsInWholePages) {
  for (uint64_t seed = 100; seed < 104; ++seed) {
    ExpectSameNumbers({.seed = seed, .steps = 60, .unit = 1 << 16, .file_alignment = 4096});
    if (HasFatalFailure()) return;
  }
}

// A checkpoint is taken and restored wherever the values are at home.
TEST(RandomPlans, PersistentValuesMoveBetweenRuns) {
  const plan::Plan plan = MakeRandomPlan({.seed = 7, .steps = 40});
  RandomRun first(plan, false);
  first.Run();
  RandomRun second(WithoutSharing(plan), false);
  second.TakeFrom(first);
  EXPECT_TRUE(first.Run() == second.Run());
}

// Lets so many transfers pass and fails the next.
class FailingTransfers : public FileOps {
 public:
  std::atomic<int> left = std::numeric_limits<int>::max();
  ssize_t Read(int fd, void* data, size_t bytes, off_t offset) override {
    return left-- == 0 ? Fail() : FileOps::Read(fd, data, bytes, offset);
  }
  ssize_t Write(int fd, const void* data, size_t bytes, off_t offset) override {
    return left-- == 0 ? Fail() : FileOps::Write(fd, data, bytes, offset);
  }

 private:
  static ssize_t Fail() {
    errno = EIO;
    return -1;
  }
};

// Nobody hangs, and the run after it is fine.
TEST(RandomPlans, FailedTransfersNameTheirInstruction) {
  const plan::Plan plan = MakeRandomPlan({.seed = 5, .steps = 60});
  FailingTransfers ops;
  RandomRun run(plan, false, &ops);
  int failures = 0;
  for (int at = 0; failures == at; ++at) {
    ops.left = at;
    const Status status = run.Train();
    if (status.ok()) break;
    ++failures;
    EXPECT_EQ(status.code(), ErrorCode::kIo);
    EXPECT_THAT(status.message(),
                testing::ContainsRegex("program 'train': instruction [0-9]+ 'copy_x' \\(copy\\): "
                                       "cannot (read|write) the spill file .*Input/output error"));
    ops.left = std::numeric_limits<int>::max();
    EXPECT_EQ(run.Train().message(), "");
  }
  EXPECT_GT(failures, 3);
}

}  // namespace
}  // namespace wsi
