// The small plan in an executor on the fake backend.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "runtime/executor/executor.h"
#include "tests/base/temp_folder.h"
#include "tests/executor/fake_backend.h"
#include "tests/plan/small_plan.h"

namespace wsi {

inline constexpr int kTrain = 0;
inline constexpr int kInfer = 1;

class SmallRun : public testing::Test {
 protected:
  // Writes the plan to a file, reads it back and makes `executor_` for it.
  Status Start(const plan::Plan& plan, ExecutorOptions options = {}) {
    WSI_RETURN_IF_ERROR(
        WritePlan(folder_.Path("small.plan"), plan, SmallPlanData(plan), {.force = true}));
    executor_.reset();
    WSI_ASSIGN_OR_RETURN(PlanFile file, ReadPlan(folder_.Path("small.plan")));
    file_.emplace(std::move(file));
    WSI_ASSIGN_OR_RETURN(executor_, Executor::Make(&*file_, &backend_, options));
    return {};
  }

  static Tensor Map(float value) { return Tensor::Of<float>({2, 3}, std::vector<float>(6, value)); }

  // One micro-step with x = 2 and t = 1 everywhere: h = 2w, d = 2w - 1, g = 2d.
  Result<double> Step(Phases phases) {
    WSI_RETURN_IF_ERROR(executor_->WriteInput(kTrain, 0, Map(2)));
    WSI_RETURN_IF_ERROR(executor_->WriteTarget(kTrain, Map(1)));
    return executor_->Run(kTrain, phases);
  }

  TempFolder folder_;
  FakeBackend backend_;  // Outlives the executor, as does the file.
  std::optional<PlanFile> file_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace wsi
