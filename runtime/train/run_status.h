// status.json: where a run stands now, and how it ended.
//
//   {"phase": "training" | "finished" | "preempted", "epoch", "step", "best_metric", "best_step"}
//   {"phase": "failed", "epoch", "step", "rank", "operation", "told_by"}
//
// The first failure stays, whatever ranks write that learn of it late, until the run is
// started again: who makes the file status.failed has come first.
#pragma once

#include <atomic>
#include <string>

#include "runtime/base/file.h"
#include "runtime/comm/communicator.h"
#include "runtime/train/checkpoint.h"

namespace wsi {

class RunStatus {
 public:
  // `ops` outlives this; null: the system's.
  RunStatus(std::string run_dir, FileOps* ops);

  // Forgets an earlier start's failure. REQUIRES: no other rank may fail yet.
  Status Start(const TrainerState& state);
  // Does nothing behind a failure.
  Status Write(const std::string& phase, const TrainerState& state);

  // Where this rank is, for a failure that another thread sees. `stage` lives for ever.
  void Enter(const char* stage, const TrainerState& state);
  const char* stage() const { return stage_.load(); }
  int64_t step() const { return step_.load(); }

  // Whether this was the first failure. kIo and others where the folder cannot be written, as
  // on a machine that does not have it. Thread-safe.
  Result<bool> Fail(const PeerFailure& failure, int told_by);

 private:
  std::string path_;
  std::string marker_;
  FileOps* ops_;
  std::atomic<const char*> stage_ = "start";
  std::atomic<int64_t> epoch_ = 0;
  std::atomic<int64_t> step_ = 0;
};

}  // namespace wsi
