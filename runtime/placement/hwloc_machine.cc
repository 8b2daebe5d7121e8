#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "runtime/placement/machine.h"

namespace wsi {
namespace {

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, Destroy>;

struct Free {
  void operator()(hwloc_bitmap_s* set) const { hwloc_bitmap_free(set); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, Free>;

Status HwlocError(const char* expression) {
  return ResourceError(fmt::format("{}: {}", expression, std::strerror(errno)));
}

#define WSI_RETURN_IF_HWLOC_ERROR(expression)              \
  do {                                                     \
    if ((expression) != 0) return HwlocError(#expression); \
  } while (false)

// `synthetic` empty: this machine.
Result<Topology> Load(const std::string& synthetic) {
  hwloc_topology_t raw = nullptr;
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_topology_init(&raw));
  Topology topology(raw);
  if (!synthetic.empty()) {
    WSI_RETURN_IF_HWLOC_ERROR(hwloc_topology_set_synthetic(raw, synthetic.c_str()));
  }
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_topology_load(raw));
  return topology;
}

std::vector<int> Members(hwloc_const_bitmap_t set) {
  std::vector<int> members;
  for (int i = hwloc_bitmap_first(set); i != -1; i = hwloc_bitmap_next(set, i)) {
    members.push_back(i);
  }
  return members;
}

// The node of a core that is near one alone.
int NodeOf(hwloc_obj_t core) {
  return hwloc_bitmap_weight(core->nodeset) == 1 ? hwloc_bitmap_first(core->nodeset) : -1;
}

Machine Describe(hwloc_topology_t topology) {
  Machine machine;
  machine.packages = std::max(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE), 0);
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    machine.nodes.push_back({.number = static_cast<int>(node->os_index),
                             .memory = static_cast<Bytes>(node->attr->numanode.local_memory)});
  }
  // Some virtual machines show processors and no cores.
  const hwloc_obj_type_t type =
      hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  for (hwloc_obj_t core = nullptr;
       (core = hwloc_get_next_obj_by_type(topology, type, core)) != nullptr;) {
    machine.cores.push_back({.pus = Members(core->cpuset), .node = NodeOf(core)});
  }
  return machine;
}

}  // namespace

Result<Machine> ReadMachine() {
  WSI_ASSIGN_OR_RETURN(const Topology topology, Load(""));
  Machine machine = Describe(topology.get());
  const Bitmap bound(hwloc_bitmap_alloc());
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_get_cpubind(topology.get(), bound.get(), HWLOC_CPUBIND_THREAD));
  machine.bound = Members(bound.get());
  return machine;
}

Result<Machine> SyntheticMachine(const std::string& description) {
  WSI_ASSIGN_OR_RETURN(const Topology topology, Load(description));
  Machine machine = Describe(topology.get());
  machine.bound = Members(hwloc_topology_get_topology_cpuset(topology.get()));
  return machine;
}

Status BindProcess(const std::vector<int>& processors, int node) {
  WSI_ASSIGN_OR_RETURN(const Topology topology, Load(""));
  const Bitmap set(hwloc_bitmap_alloc());
  for (const int processor : processors) {
    WSI_RETURN_IF_HWLOC_ERROR(hwloc_bitmap_set(set.get(), static_cast<unsigned>(processor)));
  }
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_set_cpubind(topology.get(), set.get(), HWLOC_CPUBIND_PROCESS));
  if (node < 0) return {};
  const Bitmap nodes(hwloc_bitmap_alloc());
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_bitmap_only(nodes.get(), static_cast<unsigned>(node)));
  // Of this thread, whose threads to come inherit it. Without STRICT: from elsewhere when full.
  WSI_RETURN_IF_HWLOC_ERROR(hwloc_set_membind(topology.get(), nodes.get(), HWLOC_MEMBIND_BIND,
                                              HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET));
  return {};
}

std::string HwlocVersion() {
  const unsigned version = hwloc_get_api_version();
  return fmt::format("hwloc API {}.{}", version >> 16U, (version >> 8U) & 0xffU);
}

}  // namespace wsi
