#include "runtime/placement/sysfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace wsi {
namespace {

namespace fs = std::filesystem;

// The first line; empty where there is none.
std::string Line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int Number(const std::string& text, int otherwise) {
  int number = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    entries.push_back(at->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace

PciDevice ReadPciDevice(const std::string& address, const std::string& root) {
  std::string name = address;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  const fs::path folder = fs::path(root) / "bus/pci/devices" / name;
  PciDevice device = {.node = Number(Line(folder / "numa_node"), -1)};
  const std::string speed = Line(folder / "current_link_speed");  // "32.0 GT/s PCIe"
  const std::string width = Line(folder / "current_link_width");
  if (!speed.empty() && !width.empty()) {
    device.link = fmt::format("{} x {}", speed.substr(0, speed.find(" PCIe")), width);
  }
  return device;
}

std::vector<NetworkPort> ReadNetworkPorts(const std::string& root) {
  std::vector<NetworkPort> ports;
  for (const fs::path& entry : Entries(fs::path(root) / "class/net")) {
    const int megabits = Number(Line(entry / "speed"), -1);  // -1: no link, or not known.
    if (megabits <= 0) continue;
    ports.push_back({.name = entry.filename(), .rate = fmt::format("{:g} Gb/s", megabits / 1e3)});
  }
  for (const fs::path& device : Entries(fs::path(root) / "class/infiniband")) {
    for (const fs::path& port : Entries(device / "ports")) {
      const std::string rate = Line(port / "rate");
      if (rate.empty() || Line(port / "state").find("ACTIVE") == std::string::npos) continue;
      ports.push_back(
          {.name = fmt::format("{} port {}", device.filename().string(), port.filename().string()),
           .rate = rate});
    }
  }
  return ports;
}

}  // namespace wsi
