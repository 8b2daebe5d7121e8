// What the kernel's files say of devices and their links.
#pragma once

#include <string>
#include <vector>

namespace wsi {

struct PciDevice {
  int node = -1;          // NUMA node; -1: the kernel knows of none.
  std::string link = {};  // "32.0 GT/s x 16"; empty: not known.
};
// `address` as "0000:3b:00.0", in any case; nothing is known of an empty one. `root` is "/sys" but
// in tests.
PciDevice ReadPciDevice(const std::string& address, const std::string& root = "/sys");

struct NetworkPort {
  std::string name;  // "eth0", "mlx5_0 port 1"
  std::string rate;  // "25 Gb/s", "200 Gb/sec (4X HDR)"
};
// Ethernet and InfiniBand ports with a link and a known rate, by name.
std::vector<NetworkPort> ReadNetworkPorts(const std::string& root = "/sys");

}  // namespace wsi
