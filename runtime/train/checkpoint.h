// Checkpoints: a training run on disk, whole at every moment.
//
//   RUN_DIR/checkpoints/step-120/weights.safetensors    parameters and running statistics
//                               optimizer.safetensors  the optimizer's state
//                               trainer.json           where the run stands
//                               manifest.json          size and XXH3-128 of the others
//   RUN_DIR/checkpoints/LATEST                         "step-120"
//
// A checkpoint is written as step-N.tmp, made durable, renamed, and only then named by
// LATEST; older ones are pruned after that. A kill at any moment leaves a run that can
// be resumed.
#pragma once

#include <optional>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/executor/executor.h"
#include "runtime/train/learning_rate.h"
#include "runtime/train/loss_scale.h"

namespace wsi {

// Where a run stands: with the persistent values, all that decides how it goes on.
struct TrainerState {
  int64_t seed = 0;
  int64_t step = 0;      // Optimizer steps done.
  int64_t epoch = 0;     // Epochs done.
  int64_t position = 0;  // Samples of the current epoch done, by all ranks.
  double loss_sum = 0;   // Over the current epoch's micro-steps, of all ranks.
  int64_t loss_count = 0;
  double best_metric = -1e300;  // Of the best epoch so far, higher is better;
  double best_loss = 1e300;     // among equals the lower validation loss.
  int64_t best_step = -1;
  LearningRate::State learning_rate;
  LossScale::State loss_scale;
  bool operator==(const TrainerState&) const = default;
};

enum class PersistentKind : uint8_t {
  kModel,      // parameters, running statistics: what weights files hold
  kOptimizer,  // moments; not accumulators, which are zero between steps
};

// Whether every training step leaves zeros in plan.persistents(i), as in the sums of
// accumulated gradients.
bool IsZeroBetweenSteps(const plan::Plan& plan, int i);

// Writes the executor's persistent values of one kind, under ONNX names and shapes.
Status SaveWeights(const std::string& path, Executor& executor, PersistentKind kind,
                   OutputOptions options);
// Reads them back. kInvalidInput, listing what differs, unless the file holds exactly
// the values that the plan wants.
Status LoadWeights(const std::string& path, Executor& executor, PersistentKind kind);

class CheckpointStore {
 public:
  // `ops` outlives the store; null: the system's.
  explicit CheckpointStore(std::string run_dir, FileOps* ops = nullptr);

  // Saves and then keeps the newest `keep` checkpoints. On an error every earlier
  // checkpoint is as it was.
  Status Save(Executor& executor, const TrainerState& state, int keep);
  // The folder of the newest whole checkpoint; none if there is no checkpoint at all.
  Result<std::optional<std::string>> Latest() const;
  // Verifies `folder` against its manifest and restores from it.
  Result<TrainerState> Load(const std::string& folder, Executor& executor) const;

 private:
  Status WriteFiles(const std::string& folder, Executor& executor, const TrainerState& state);
  Status Publish(const std::string& temporary, const std::string& name);
  // Keeps `newest` and the checkpoints before it, `keep` in all; everything else in
  // the folder, which kills and abandoned steps have left, goes.
  Status Prune(int64_t newest, int keep) const;

  std::string run_dir_;
  std::string folder_;  // RUN_DIR/checkpoints
  FileOps* ops_;
};

// The weights file that `path` means: a .safetensors file itself, a run's best (or
// else newest) weights, or a checkpoint folder's.
Result<std::string> FindWeights(const std::string& path);

}  // namespace wsi
