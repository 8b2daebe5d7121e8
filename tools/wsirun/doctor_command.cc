#include "tools/wsirun/doctor_command.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "runtime/base/checked.h"

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

Json Examine() {
  const Bytes page = sysconf(_SC_PAGESIZE);
  std::error_code error;
  const auto space = std::filesystem::space(".", error);
  return {{"version", WSI_VERSION},
          {"processor", FirstLine("/proc/cpuinfo", "model name")},
          {"usable_cores", UsableCores()},
          {"vector_extensions", VectorExtensions()},
          {"memory_bytes", sysconf(_SC_PHYS_PAGES) * page},
          {"free_memory_bytes", sysconf(_SC_AVPHYS_PAGES) * page},
          {"free_disk_bytes", error ? 0 : static_cast<Bytes>(space.available)},
          {"cpu_operators", MakeCpuBackend({})->SupportedOps().size()},
          {"reference_operators", MakeReferenceBackend()->SupportedOps().size()},
          {"cuda", "not in this build"}};
}

void Doctor(bool json) {
  const Json found = Examine();
  if (json) {
    fmt::print("{}\n", found.dump());
    return;
  }
  for (const auto& [name, value] : found.items()) {
    const bool is_size = name.ends_with("_bytes");
    fmt::print("{:<20} {}\n", name,
               is_size             ? FormatBytes(value.get<Bytes>())
               : value.is_string() ? value.get<std::string>()
                                   : value.dump());
  }
}

}  // namespace

void AddDoctorCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("doctor", "what this machine offers");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([=] {
    Doctor(*json);
    *exit_code = 0;
  });
}

}  // namespace wsi
