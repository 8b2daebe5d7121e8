#include "runtime/placement/machine.h"

#include <fmt/format.h>

namespace wsi {

int Machine::processors() const {
  size_t count = 0;
  for (const MachineCore& core : cores) count += core.pus.size();
  return static_cast<int>(count);
}

std::string ProcessorList(const std::vector<int>& processors) {
  std::string list;
  for (size_t i = 0; i < processors.size();) {
    size_t last = i;
    while (last + 1 < processors.size() && processors[last + 1] == processors[last] + 1) ++last;
    if (!list.empty()) list += ',';
    list += last == i ? fmt::format("{}", processors[i])
                      : fmt::format("{}-{}", processors[i], processors[last]);
    i = last + 1;
  }
  return list;
}

}  // namespace wsi
