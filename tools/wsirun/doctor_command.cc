#include "tools/wsirun/doctor_command.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/calibrate/calibrate.h"
#include "runtime/calibrate/link.h"
#include "runtime/comm/agreement.h"
#include "runtime/timing/rates.h"
#include "tools/wsirun/bind_rank.h"
#include "tools/wsirun/machine_report.h"
#include "tools/wsirun/ranks.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/version.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

// The value of the first line that starts with `key`, behind its colon.
std::string FirstLine(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "unknown";
}

int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::string VectorExtensions() {
  const std::string flags = " " + FirstLine("/proc/cpuinfo", "flags") + " ";
  std::string found;
  for (const char* name : {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}) {
    if (flags.find(fmt::format(" {} ", name)) == std::string::npos) continue;
    found += (found.empty() ? "" : ", ") + std::string(name);
  }
  return found.empty() ? "none" : found;
}

// The GPU, or what is missing for it.
std::string DescribeCuda(const CudaReport& report) {
  std::string text = report.missing.empty() ? report.device : "";
  for (const std::string& missing : report.missing) {
    text += (text.empty() ? "" : "; ") + missing;
  }
  return text;
}

Json Examine() {
  const CudaReport cuda = ExamineCuda();
  const Bytes page = sysconf(_SC_PAGESIZE);
  std::error_code error;
  const auto space = std::filesystem::space(".", error);
  return {{"version", Version()},
          {"processor", FirstLine("/proc/cpuinfo", "model name")},
          {"usable_cores", UsableCores()},
          {"vector_extensions", VectorExtensions()},
          {"memory_bytes", sysconf(_SC_PHYS_PAGES) * page},
          {"free_memory_bytes", sysconf(_SC_AVPHYS_PAGES) * page},
          {"free_disk_bytes", error ? 0 : static_cast<Bytes>(space.available)},
          {"cpu_operators", MakeCpuBackend({})->SupportedOps().size()},
          {"reference_operators", MakeReferenceBackend()->SupportedOps().size()},
          {"cuda", DescribeCuda(cuda)},
          {"nccl", cuda.nccl.empty() ? "none" : cuda.nccl},
          {"cuda_devices", cuda.missing.empty() ? cuda.devices : 0}};
}

// "node=0 processors=0-15 ...": an entry of a list.
std::string Entry(const Json& entry) {
  std::string text;
  for (const auto& [name, value] : entry.items()) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", name,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

void Print(const Json& found) {
  for (const auto& [name, value] : found.items()) {
    if (value.is_array()) {
      fmt::print("{:<20} {}\n", name, value.empty() ? "none found" : Entry(value[0]));
      for (size_t i = 1; i < value.size(); ++i) fmt::print("{:<20} {}\n", "", Entry(value[i]));
      continue;
    }
    const bool is_size = name.ends_with("_bytes");
    fmt::print("{:<20} {}\n", name,
               is_size             ? FormatBytes(value.get<Bytes>())
               : value.is_string() ? value.get<std::string>()
                                   : value.dump());
  }
}

// Without ranks, `count` of them are thought of.
Status Doctor(Communicator& ranks, int count, bool json) {
  WSI_ASSIGN_OR_RETURN(const Json placements, DescribePlacements(ranks, count));
  if (ranks.rank() != 0) return {};
  Json found = Examine();
  found.update(DescribeMachine());
  found["ranks"] = placements;
  if (json) {
    fmt::print("{}\n", found.dump());
  } else {
    Print(found);
  }
  return {};
}

struct CalibrateArguments {
  RankArguments ranks;
  bool calibrate = false;
  std::string output;  // Empty: stdout.
  std::string spill_dir;
  int threads = 0;
  bool force = false;
};

// What all ranks call the device that they measure; `threads` as for the backend.
std::string DeviceName(const Communicator& ranks, int threads) {
  if (threads == 0) threads = UsableCores();
  std::string name =
      fmt::format("{}, {} threads", FirstLine("/proc/cpuinfo", "model name"), threads);
  if (ranks.size() > 1) name += fmt::format(", one of {} ranks", ranks.size());
  return name;
}

Status CalibrateRanks(const CalibrateArguments& a, Communicator& ranks) {
  const bool is_root = ranks.rank() == 0;
  const bool writes = is_root && !a.output.empty();
  WSI_RETURN_IF_ERROR(Agree(ranks, writes ? CheckOutputPath(a.output, a.force) : Status()));
  WSI_RETURN_IF_ERROR(BindRank(a.ranks, ranks, -1));
  const int threads = a.threads > 0 ? a.threads : ThreadsOfRank(ranks);
  const std::unique_ptr<Backend> backend = MakeCpuBackend({.threads = threads});
  WSI_ASSIGN_OR_RETURN(const plan::Rates otherwise, BuiltInRates("cpu"));
  WSI_ASSIGN_OR_RETURN(
      plan::Rates rates,
      Calibrate(ranks, backend.get(),
                {.device = DeviceName(ranks, threads), .spill_dir = a.spill_dir}, otherwise));
  if (ranks.size() > 1) {
    WSI_ASSIGN_OR_RETURN(const RankLink link, MeasureLink(ranks, backend.get()));
    SetLink(link, rates);
  }
  if (!is_root) return {};
  if (a.spill_dir.empty()) {
    fmt::print(stderr,
               "wsirun doctor: no --spill-dir, so the file's rates are those of a common disk\n");
  }
  if (writes) return WriteRates(a.output, rates, {.force = a.force});
  WSI_ASSIGN_OR_RETURN(const std::string json, RatesJson(rates));
  fmt::print("{}", json);
  return {};
}

}  // namespace

void AddDoctorCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "doctor",
      "what this machine offers, and where ranks would run: --nproc so many, or under mpirun");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one JSON object");
  auto arguments = std::make_shared<CalibrateArguments>();
  CLI::Option* calibrate =
      command->add_flag("--calibrate", arguments->calibrate,
                        "measure how fast the CPU computes and copies, for wsic compile --rates, "
                        "and under mpirun what "
                        "is left to each rank and the link between them; half a minute");
  AddRankOptions(*command, &arguments->ranks);
  command->add_option("-o,--output", arguments->output, "write the rates here (default: stdout)")
      ->needs(calibrate);
  command->add_option("--spill-dir", arguments->spill_dir, "measure this folder's disk as well")
      ->needs(calibrate);
  command->add_option("--threads", arguments->threads, "compute threads (default: all there are)")
      ->check(CLI::NonNegativeNumber)
      ->needs(calibrate);
  command->add_flag("--force", arguments->force, "replace an existing file")->needs(calibrate);
  command->callback([=] {
    if (arguments->calibrate) {
      *exit_code = RunOnRanks("doctor", arguments->ranks, [&](Communicator& ranks) {
        return CalibrateRanks(*arguments, ranks);
      });
      return;
    }
    // Not started: what would be if they were.
    const int count = std::max(arguments->ranks.ranks, 1);
    arguments->ranks.ranks = 0;
    *exit_code = RunOnRanks("doctor", arguments->ranks,
                            [&](Communicator& ranks) { return Doctor(ranks, count, *json); });
  });
}

}  // namespace wsi
