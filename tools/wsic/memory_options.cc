#include "tools/wsic/memory_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/timing/rates.h"

namespace wsi {
namespace {

Bytes MachineBytes() {
  return static_cast<Bytes>(sysconf(_SC_PHYS_PAGES)) * static_cast<Bytes>(sysconf(_SC_PAGESIZE));
}

// 0 where the option is not given; a budget of nothing is one that nothing fits.
Result<Bytes> ParseBudget(const std::string& option, const std::string& text) {
  if (text.empty()) return Bytes{0};
  Result<Bytes> bytes = ParseBytes(text);
  if (!bytes.ok()) return bytes.status().WithContext("--" + option);
  return std::max<Bytes>(bytes.value(), 1);
}

Status CheckMachine(const MemoryOptions& options) {
  const Bytes machine = MachineBytes();
  const auto check = [&](std::string_view option, Bytes budget, Bytes left) -> Status {
    if (budget <= left) return {};
    return ResourceError(fmt::format(
        "--{} {}: this machine has {} of memory, of which {} are left for it; give at most {}B",
        option, FormatBytes(budget), FormatBytes(machine), FormatBytes(left), left));
  };
  WSI_RETURN_IF_ERROR(check("device-mem", options.device_budget, machine));
  return check("host-mem", options.host_budget, machine - options.device_budget);
}

}  // namespace

void AddMemoryOptions(CLI::App& command, MemoryArguments* a) {
  command
      .add_option("--memory", a->memory,
                  "auto (resident where that fits --device-mem, else recompute and offload), "
                  "resident, offload, managed (offload in managed memory) or stream")
      ->check(CLI::IsMember({"auto", "resident", "offload", "managed", "stream"}))
      ->capture_default_str();
  command.add_option("--device-mem", a->device_mem, "budget of the device, for example 70GiB");
  command.add_option("--host-mem", a->host_mem, "budget of the host tier, for example 100GiB");
  command.add_option("--spill-mem", a->spill_mem,
                     "budget of the file tier under the host's, for example 1TiB (default: none)");
  command.add_option("--rates", a->rates,
                     "what times are predicted with: cpu, h100, h200, v100 or a file of wsirun "
                     "doctor --calibrate (default: by --device)");
  command
      .add_option("--copies", a->copies,
                  "demand (each where it is needed), groups (all of a group at its start), "
                  "prefetch (a group ahead) or timed (by the cost model)")
      ->check(CLI::IsMember({"demand", "groups", "prefetch", "timed"}))
      ->capture_default_str();
  command
      .add_option("--groups", a->groups,
                  "how --copies groups and prefetch cut groups: footprint or critical-path")
      ->check(CLI::IsMember({"footprint", "critical-path"}))
      ->capture_default_str();
  command.add_flag("--no-recompute", a->no_recompute, "compute nothing twice");
  command.add_flag("--no-offload", a->no_offload, "keep everything on the device");
  command.add_flag("--keep-state", a->keep_state,
                   "parameters, statistics and optimizer state stay on the device");
  command.add_option(
      "--library-workspace", a->library_workspace,
      "of --device cuda: what each convolution of cuDNN and each product of cuBLASLt "
      "may take beside its operands, for example 512MiB (default: by their sizes)");
  command
      .add_option(
          "--gpu", a->gpu,
          "of --device cuda: hopper (compute capability 9.0), or any, whose weight gradients "
          "in half precision take more memory")
      ->check(CLI::IsMember({"hopper", "any"}))
      ->capture_default_str();
}

Result<MemoryOptions> ToMemoryOptions(const MemoryArguments& a, const std::string& device) {
  if (a.memory == "stream") {
    return UsageError("--memory stream: not in this version; use auto, resident or offload");
  }
  MemoryOptions options;
  WSI_ASSIGN_OR_RETURN(options.device_budget, ParseBudget("device-mem", a.device_mem));
  WSI_ASSIGN_OR_RETURN(options.host_budget, ParseBudget("host-mem", a.host_mem));
  WSI_ASSIGN_OR_RETURN(options.file_budget, ParseBudget("spill-mem", a.spill_mem));
  const bool is_resident = a.memory == "resident";
  options.recompute = !a.no_recompute && !is_resident;
  options.offload = !a.no_offload && !is_resident;
  options.keep_state = a.keep_state;
  const bool has_groups = a.copies == "groups" || a.copies == "prefetch";
  if (has_groups) {
    options.groups = a.groups == "footprint" ? GroupRule::kFootprint : GroupRule::kCriticalPath;
  }
  options.prefetch = a.copies == "demand"  ? PrefetchMode::kDemand
                     : a.copies == "timed" ? PrefetchMode::kTimed
                                           : PrefetchMode::kGroup;
  options.ahead = a.copies != "groups";
  // Rates that were given say that the plan is for another machine.
  if (device != "cuda" && a.rates.empty()) WSI_RETURN_IF_ERROR(CheckMachine(options));
  if (a.rates.empty()) {
    WSI_ASSIGN_OR_RETURN(options.rates, BuiltInRates(DefaultRatesName(device)));
  } else {
    WSI_ASSIGN_OR_RETURN(options.rates, FindRates(a.rates));
  }
  return options;
}

Result<WorkspaceOptions> ToWorkspaceOptions(const MemoryArguments& a, const std::string& device) {
  WorkspaceOptions options;
  options.device = device;
  options.hopper = a.gpu == "hopper";
  WSI_ASSIGN_OR_RETURN(options.library_bytes,
                       ParseBudget("library-workspace", a.library_workspace));
  return options;
}

}  // namespace wsi
