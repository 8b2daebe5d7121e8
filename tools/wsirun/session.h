// A plan loaded and ready to run: what every command but `slides` and `doctor` begins with.
#pragma once

#include <memory>
#include <string>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/cuda_ranks.h"
#include "runtime/base/status.h"
#include "runtime/comm/communicator.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan_file.h"

namespace CLI {
class App;
}

namespace wsi::plan {
class Value;
}

namespace wsi {

struct RankArguments;

struct PlanArguments {
  std::string path;
  int threads = 0;         // 0: as many as this process may use.
  std::string checkpoint;  // Weights to load: a file, a run or a checkpoint folder.
  std::string spill_dir;   // Where a plan's file tier is; empty: nowhere.
  std::string spill_mem;   // The most that it may take; empty: what the disk has.
  bool allow_oversubscription = false;
  std::string cuda_graphs = "auto";  // Or "on", "off".
};
// Adds PLAN, --threads, --spill-dir, --spill-mem, --cuda-graphs,
// --allow-oversubscription and, where asked for,
// --checkpoint.
// `arguments` outlives parsing.
void AddPlanOptions(CLI::App& command, PlanArguments* arguments, bool with_checkpoint);

// Members are destroyed in reverse: the executor goes before what it borrows.
struct Session {
  std::unique_ptr<Communicator> only_rank;  // Of sessions that are given no ranks.
  std::unique_ptr<PlanFile> file;
  std::unique_ptr<CudaRanks> cuda_ranks;  // Where means over ranks go by NCCL.
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Executor> executor;
};
Result<Session> OpenSession(const PlanArguments& arguments);
// The session of one of the ranks, on the GPU that is its turn where the plan is for cuda. The
// communicator outlives it. Collective: an error is that of the first rank that failed, on
// every rank.
Result<Session> OpenSession(const PlanArguments& arguments, const RankArguments& rank_arguments,
                            Communicator& ranks);

// A tensor in ONNX's axis order as the program's input, target or output `value` wants it.
// kInvalidInput naming `path` where its shape is another.
Result<Tensor> ToPlanOrder(const Tensor& tensor, const plan::Value& value, const std::string& path);

}  // namespace wsi
