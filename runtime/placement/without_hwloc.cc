// Stands in for hwloc_machine.cc in builds without hwloc.
#include "runtime/placement/machine.h"

namespace wsi {
namespace {

Status Missing() {
  return ResourceError("this wsirun was built without hwloc; configure it with -DWSI_HWLOC=ON");
}

}  // namespace

Result<Machine> ReadMachine() { return Missing(); }

Result<Machine> SyntheticMachine(const std::string&) { return Missing(); }

Status BindProcess(const std::vector<int>&, int) { return Missing(); }

std::string HwlocVersion() { return {}; }

}  // namespace wsi
