// The cores and the memory of this machine, as far as this process may use them; by hwloc.
//
//   machine   | package                      | package                      |
//   nodes     | NUMA node 0                  | NUMA node 1                  |
//   cores     | 0   | 1   | 2   | 3          | 4   | 5   | 6   | 7          |   numbered so that
//   PUs         0,8   1,9   2,10  3,11         4,12  5,13  6,14  7,15             neighbours are
//   near
#pragma once

#include <string>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

struct MachineCore {
  std::vector<int> pus;  // The operating system's processors, ascending.
  int node = -1;         // NUMA node by its number there; -1: none is nearest.
};

struct MachineNode {
  int number = 0;
  Bytes memory = 0;
};

struct Machine {
  std::vector<MachineCore> cores;  // Those of the control group, in hwloc's order.
  std::vector<MachineNode> nodes;
  int packages = 0;
  std::vector<int> bound = {};  // Processors that this process is bound to, ascending.

  int processors() const;
  // Whether whoever started this process left it fewer processors than there are.
  bool is_bound() const { return static_cast<int>(bound.size()) < processors(); }
};

// kResources in a build without hwloc, or where it fails.
Result<Machine> ReadMachine();
// One of hwloc's synthetic descriptions, such as "pack:2 numa:1 core:4 pu:2"; bound nowhere.
Result<Machine> SyntheticMachine(const std::string& description);

// Binds all threads of this process to the processors, and what they allocate from now on, as far
// as there is room, to the node; -1: leaves memory alone. kResources where that is not allowed.
Status BindProcess(const std::vector<int>& processors, int node);

// "hwloc API 2.8"; empty in a build without.
std::string HwlocVersion();

// "0-3,8"; empty for none. REQUIRES: ascending.
std::string ProcessorList(const std::vector<int>& processors);

}  // namespace wsi
