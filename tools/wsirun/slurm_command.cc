#include "tools/wsirun/slurm_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/plan/plan_file.h"
#include "runtime/plan/plan_types.h"
#include "runtime/timing/rates.h"
#include "runtime/timing/simulate.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/slurm_script.h"
#include "tools/wsirun/train_command.h"

namespace wsi {
namespace {

// What a rank needs beside its arenas: programs and libraries, a CUDA context, decoders.
constexpr Bytes kRankMemory = Bytes{1} << 30;
constexpr Bytes kCudaRankMemory = Bytes{4} << 30;
constexpr int64_t kSaveSeconds = 120;  // Ahead of the limit, beside two updates.

struct Arguments {
  std::string plan;
  SlurmJob job;
  std::string time = "1-00:00:00";
  std::string memory;  // Empty: from the plan.
};

// What `wsirun train` would make of its part of the command line.
struct TrainLine {
  std::vector<std::string> words;  // Behind "train PLAN".
  std::string run_dir;
  int64_t prefetch = 0;  // Samples decoded ahead.
  Bytes cache = 0;
  bool resumes = false;
  bool names_threads = false;
};

// Reads them as train does and runs nothing. kUsage with its message.
Result<TrainLine> ReadTrainLine(const std::string& plan, std::vector<std::string> words) {
  CLI::App app("", "wsirun");
  int exit_code = 0;
  AddTrainCommand(app, &exit_code);
  CLI::App& train = *app.get_subcommand("train");
  train.callback([] {});
  TrainLine line;
  line.words = words;
  words.insert(words.begin(), {"train", plan});
  std::reverse(words.begin(), words.end());  // As CLI11 wants them.
  try {
    app.parse(words);
    line.run_dir = train.get_option("--run-dir")->as<std::string>();
    line.prefetch = train.get_option("--prefetch")->as<int64_t>();
    WSI_ASSIGN_OR_RETURN(line.cache,
                         ParseBytes(train.get_option("--cache-mem")->as<std::string>()));
  } catch (const CLI::Error& error) {
    return UsageError(fmt::format("wsirun train would not take this: {}", error.what()));
  }
  for (const char* option : {"--nproc", "--force"}) {
    if (train.get_option(option)->count() == 0) continue;
    return UsageError(fmt::format("{} does not go with slurm: {}", option,
                                  option == std::string("--nproc")
                                      ? "give --nodes and --ranks-per-node"
                                      : "a job that comes back would start over"));
  }
  line.resumes = train.get_option("--resume")->count() > 0;
  line.names_threads = train.get_option("--threads")->count() > 0;
  return line;
}

// The host's memory that a rank takes: arenas, what the plan's file holds while it is read, and
// pixels decoded ahead.
Result<Bytes> RankMemory(const plan::Plan& plan, const TrainLine& line) {
  const bool is_cuda = plan.device() == "cuda";
  Bytes sum = is_cuda ? kCudaRankMemory : kRankMemory;
  const auto add = [&](Bytes bytes) -> Status {
    WSI_ASSIGN_OR_RETURN(sum, CheckedAdd(sum, bytes));
    return {};
  };
  if (!is_cuda) WSI_RETURN_IF_ERROR(add(plan.device_peak_bytes()));
  WSI_RETURN_IF_ERROR(add(plan.host_peak_bytes()));
  WSI_RETURN_IF_ERROR(add(line.cache));
  for (const plan::Persistent& persistent : plan.persistents()) {
    WSI_RETURN_IF_ERROR(add(persistent.data_bytes()));
  }
  const int program = FindProgram(plan, "train");
  for (const int32_t input : plan.programs(program).inputs()) {
    WSI_ASSIGN_OR_RETURN(const Bytes pixels,
                         CheckedMul(ValueShape(plan.values(input)).ElementCount(), line.prefetch));
    WSI_RETURN_IF_ERROR(add(pixels));
  }
  return CheckedAdd(sum, sum / 10);
}

// Seconds from the warning to the job's end: two updates, as predicted, and time to save.
Result<int64_t> WarningSeconds(const plan::Plan& plan) {
  WSI_ASSIGN_OR_RETURN(const plan::Rates rates, RatesOf(plan, ""));
  const plan::Program& program = plan.programs(FindProgram(plan, "train"));
  const double step = SimulateProgram(plan, program, rates).step_seconds;
  const double updates = 2 * step * std::max(plan.training().accumulation_steps(), 1);
  return kSaveSeconds + static_cast<int64_t>(std::min(updates, 1e6));
}

Result<std::vector<std::string>> CommandOf(const Arguments& a, const TrainLine& line) {
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return IoError(fmt::format("/proc/self/exe: {}", error.message()));
  std::vector<std::string> words = {self, "train", a.plan};
  words.insert(words.end(), line.words.begin(), line.words.end());
  if (!line.resumes) words.insert(words.end(), {"--resume", "auto"});
  if (!line.names_threads) {
    words.insert(words.end(), {"--threads", std::to_string(a.job.cpus_per_task)});
  }
  return words;
}

Status CheckTimes(const SlurmJob& job, const std::string& time) {
  if (job.limit_seconds >= 2 * job.warning_seconds) return {};
  return UsageError(fmt::format(
      "--time {}: {} s before its end the job begins to save (two updates and {} s), and it should "
      "train at least as long; give more time",
      time, job.warning_seconds, kSaveSeconds));
}

Status PrintScript(Arguments& a, const std::vector<std::string>& train_words) {
  WSI_ASSIGN_OR_RETURN(const TrainLine line, ReadTrainLine(a.plan, train_words));
  WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(a.plan));
  const plan::Plan& plan = file.plan();
  if (FindProgram(plan, "train") < 0) {
    return InvalidInput(fmt::format("{}: the plan does not train", a.plan));
  }
  SlurmJob& job = a.job;
  job.gpus = plan.device() == "cuda";
  if (job.mpi.empty()) job.mpi = SlurmMpiType();
  if (job.mpi.empty() && job.nodes * job.ranks_per_node > 1) {
    return {ErrorCode::kPeer, "several ranks, but this wsirun was built without MPI"};
  }
  if (job.mpi.empty()) job.mpi = "none";
  if (a.memory.empty()) {
    WSI_ASSIGN_OR_RETURN(const Bytes rank, RankMemory(plan, line));
    WSI_ASSIGN_OR_RETURN(job.node_memory, CheckedMul(rank, job.ranks_per_node));
  } else {
    const Result<Bytes> memory = ParseBytes(a.memory);
    if (!memory.ok()) return UsageError("--mem: " + memory.status().message());
    job.node_memory = *memory;
  }
  WSI_ASSIGN_OR_RETURN(job.limit_seconds, ParseSlurmTime(a.time));
  WSI_ASSIGN_OR_RETURN(job.warning_seconds, WarningSeconds(plan));
  WSI_RETURN_IF_ERROR(CheckTimes(job, a.time));
  WSI_ASSIGN_OR_RETURN(job.command, CommandOf(a, line));
  if (job.name.empty()) job.name = std::filesystem::path(line.run_dir).filename().string();
  if (job.name.empty()) job.name = "wsirun";
  fmt::print("{}", SlurmScript(job));
  return {};
}

}  // namespace

void AddSlurmCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "slurm", "print a batch script that trains a plan: the options of train follow");
  auto a = std::make_shared<Arguments>();
  const auto is_word = [](const std::string& text) {
    return ShellWord(text) == text ? std::string() : text + " has characters that sbatch minds";
  };
  command->add_option("PLAN", a->plan, "a plan that wsic compile wrote")->required();
  command->add_option("--nodes", a->job.nodes)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--ranks-per-node", a->job.ranks_per_node, "as many as a node has GPUs")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--cpus-per-task", a->job.cpus_per_task, "cores of a rank")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--time", a->time, "the job's limit, behind which it queues again")
      ->capture_default_str();
  command->add_option("--mem", a->memory, "of a node (default: what the plan promises, and more)");
  command->add_option("--job-name", a->job.name, "(default: the run folder's name)")
      ->check(is_word);
  command->add_option("--partition", a->job.partition)->check(is_word);
  command->add_option("--account", a->job.account)->check(is_word);
  command
      ->add_option("--mpi", a->job.mpi,
                   "srun's plugin for this MPI (default: pmix for Open MPI, pmi2 for MPICH)")
      ->check(is_word);
  command->allow_extras();
  command->callback([=] { *exit_code = Report("slurm", PrintScript(*a, command->remaining())); });
}

}  // namespace wsi
