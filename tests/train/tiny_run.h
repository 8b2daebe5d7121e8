// Training runs small enough for a test: a network of 136 numbers, slides of one tile.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "passes/optimizer.h"
#include "runtime/backends/backend.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan_file.h"
#include "runtime/slides/manifest.h"
#include "runtime/train/trainer.h"
#include "tests/base/temp_folder.h"

namespace wsi {

struct TinyModel {
  int64_t batch = 1;
  bool dropout = false;
  bool norm = true;
  OptimizerOptions optimizer = {};
  DType precision = DType::kF32;
  bool loss_scale = false;  // Also beside fp32, where no power of two changes anything.
  // The norm's result is this many times larger and the classifier's weights smaller, so
  // that the gradient of these overflows before the loss does.
  float stretch = 1;
};

// Compiles image[batch,3,16,16] -> Conv -> [BatchNormalization] -> Relu -> mean -> [Dropout] ->
// Gemm -> scores[batch,2] with cross-entropy.
Status WriteTinyPlan(const std::string& path, const TinyModel& model);

// Writes `count` slides of 128 x 128 pixels, of classes 0 and 1 in turn, slide `bad` (if any) no
// slide at all. The first `validation` rows are in split val.
Manifest MakeTinySlides(const TempFolder& folder, int64_t count, int64_t bad = -1,
                        int64_t validation = 0);

// An executor with all that it borrows.
struct TinyExecutor {
  static TinyExecutor Make(const std::string& plan, int threads = 1);

  // Every persistent value, bit for bit.
  std::vector<std::string> Values() const;
  // Fills the values of optimizer state (or the others) with `value`.
  void Fill(bool optimizer_state, float value);

  std::unique_ptr<PlanFile> file;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Executor> executor;
};

// Trains with a fresh executor and trainer, from the newest checkpoint where `resume` says so.
struct TinyOutcome {
  Status status;
  TrainSummary summary;
  std::vector<std::string> values;  // TinyExecutor::Values() at the end.
};
TinyOutcome TrainTiny(const std::string& plan, const Manifest& manifest,
                      const TrainOptions& options, bool resume = false, bool stop = false,
                      int threads = 1);

// TrainTiny stopped after each single step and resumed until it is done.
TinyOutcome TrainTinyStepByStep(const std::string& plan, const Manifest& manifest,
                                const TrainOptions& options);

}  // namespace wsi
