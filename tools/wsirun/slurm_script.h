// The batch script of a training run under Slurm.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

struct SlurmJob {
  std::string name;
  std::string run_dir;
  int nodes = 1;
  int ranks_per_node = 1;
  int cpus_per_task = 1;
  bool gpus = false;  // One for each rank.
  Bytes node_memory = 0;
  int64_t limit_seconds = 0;
  int64_t warning_seconds = 0;  // Before the limit, for the last step and its checkpoint.
  std::string partition = {};   // Empty, as account: what Slurm gives without.
  std::string account = {};
  std::string mpi;                   // srun's --mpi.
  std::vector<std::string> command;  // Of a rank: wsirun train ...
};

// Slurm signals the ranks ahead of the limit, which save and end with 75; so does a preemption.
// The job then goes back to the queue under its number, and `--resume auto` of the command goes
// on. Lines with more words than a script needs say why.
std::string SlurmScript(const SlurmJob& job);

// Seconds of "30" (minutes), "12:00:00" or "2-12:00:00", as sbatch has them; kUsage for others.
Result<int64_t> ParseSlurmTime(const std::string& text);

// `word` as one word of a shell.
std::string ShellWord(const std::string& word);

}  // namespace wsi
