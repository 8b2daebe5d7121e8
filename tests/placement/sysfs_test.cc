#include "runtime/placement/sysfs.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

class Sysfs : public testing::Test {
 protected:
  void Put(const std::string& path, const std::string& line) {
    std::filesystem::create_directories(std::filesystem::path(folder_.Path(path)).parent_path());
    folder_.Put(path, line + "\n");
  }
  std::string root() const { return folder_.Path(""); }

 private:
  TempFolder folder_;
};

TEST_F(Sysfs, APciDevicesNodeAndLink) {
  const std::string at = "bus/pci/devices/0000:3b:00.0/";
  Put(at + "numa_node", "1");
  Put(at + "current_link_speed", "32.0 GT/s PCIe");
  Put(at + "current_link_width", "16");
  const PciDevice device = ReadPciDevice("0000:3B:00.0", root());
  EXPECT_EQ(device.node, 1);
  EXPECT_EQ(device.link, "32.0 GT/s x 16");
}

TEST_F(Sysfs, WhatIsNotKnownIsNotSaid) {
  Put("bus/pci/devices/0000:01:00.0/numa_node", "-1");
  EXPECT_EQ(ReadPciDevice("0000:01:00.0", root()).node, -1);
  EXPECT_EQ(ReadPciDevice("0000:02:00.0", root()).node, -1);
  EXPECT_EQ(ReadPciDevice("0000:02:00.0", root()).link, "");
  EXPECT_TRUE(ReadNetworkPorts(root()).empty());
}

TEST_F(Sysfs, PortsWithALink) {
  Put("class/net/eth0/speed", "25000");
  Put("class/net/eth1/speed", "-1");
  Put("class/net/lo/speed", "");
  Put("class/infiniband/mlx5_0/ports/1/rate", "200 Gb/sec (4X HDR)");
  Put("class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE");
  Put("class/infiniband/mlx5_1/ports/1/rate", "10 Gb/sec (4X SDR)");
  Put("class/infiniband/mlx5_1/ports/1/state", "1: DOWN");
  const std::vector<NetworkPort> ports = ReadNetworkPorts(root());
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].name, "eth0");
  EXPECT_EQ(ports[0].rate, "25 Gb/s");
  EXPECT_EQ(ports[1].name, "mlx5_0 port 1");
  EXPECT_EQ(ports[1].rate, "200 Gb/sec (4X HDR)");
}

}  // namespace
}  // namespace wsi
