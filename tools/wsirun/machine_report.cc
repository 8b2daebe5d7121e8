#include "tools/wsirun/machine_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/placement/placement.h"
#include "runtime/placement/sysfs.h"
#include "tools/wsirun/bind_rank.h"
#include "tools/wsirun/ranks.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

Json DescribeGpus() {
  Json gpus = Json::array();
  for (const CudaDevice& gpu : ListCudaDevices()) {
    const PciDevice pci = ReadPciDevice(gpu.pci);
    gpus.push_back({{"number", gpu.number},
                    {"name", gpu.name},
                    {"pci", gpu.pci},
                    {"numa_node", pci.node},
                    {"link", pci.link.empty() ? "not known" : pci.link}});
  }
  return gpus;
}

Json DescribePlacement(int rank, const std::string& host, const Placement& placement) {
  return {{"rank", rank},
          {"host", host},
          {"processors", placement.binds() ? ProcessorList(placement.processors) : "as they are"},
          {"numa_node", placement.node},
          {"because", placement.reason}};
}

// The NUMA node of the GPU of the machine's rank `local_rank`.
int GpuNode(const std::vector<CudaDevice>& gpus, int local_rank) {
  if (gpus.empty()) return -1;
  return ReadPciDevice(gpus[static_cast<size_t>(local_rank) % gpus.size()].pci).node;
}

Json PlacementsOf(int count) {
  const Result<Machine> machine = ReadMachine();
  Json list = Json::array();
  if (!machine.ok()) return list;
  const std::vector<CudaDevice> gpus = ListCudaDevices();
  std::vector<RankSeat> seats;
  seats.reserve(static_cast<size_t>(count));
  for (int rank = 0; rank < count; ++rank) {
    seats.push_back({.bound = machine->bound, .gpu_node = GpuNode(gpus, rank)});
  }
  const std::vector<Placement> placements = ChoosePlacements(*machine, seats);
  for (int rank = 0; rank < count; ++rank) {
    list.push_back(DescribePlacement(rank, HostName(), placements[static_cast<size_t>(rank)]));
  }
  return list;
}

}  // namespace

Json DescribeMachine() {
  Json found = {
      {"hwloc", HwlocVersion().empty() ? "built without: ranks are not bound" : HwlocVersion()}};
  const Result<Machine> machine = ReadMachine();
  if (machine.ok()) {
    Json nodes = Json::array();
    for (const MachineNode& node : machine->nodes) {
      std::vector<int> processors;
      for (const MachineCore& core : machine->cores) {
        if (core.node == node.number) {
          processors.insert(processors.end(), core.pus.begin(), core.pus.end());
        }
      }
      std::sort(processors.begin(), processors.end());
      nodes.push_back({{"node", node.number},
                       {"processors", ProcessorList(processors)},
                       {"memory", FormatBytes(node.memory)}});
    }
    found.update(Json{{"packages", machine->packages},
                      {"cores", machine->cores.size()},
                      {"processors", machine->processors()},
                      {"bound_to", ProcessorList(machine->bound)},
                      {"numa_nodes", nodes}});
  } else if (!HwlocVersion().empty()) {
    found["topology"] = machine.status().message();
  }
  found["gpus"] = DescribeGpus();
  Json ports = Json::array();
  for (const NetworkPort& port : ReadNetworkPorts()) {
    ports.push_back({{"port", port.name}, {"rate", port.rate}});
  }
  found["network"] = ports;
  found["mpi"] = DescribeMpi();
  return found;
}

Result<Json> DescribePlacements(Communicator& ranks, int count) {
  if (ranks.size() == 1) return PlacementsOf(count);
  WSI_ASSIGN_OR_RETURN(const Placement own,
                       PlaceRank(ranks, GpuNode(ListCudaDevices(), ranks.local_rank())));
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                       ranks.Gather(DescribePlacement(ranks.rank(), HostName(), own).dump()));
  Json list = Json::array();
  for (const std::string& placement : all) list.push_back(Json::parse(placement));
  return list;
}

}  // namespace wsi
