#include "passes/layout_attributes.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace wsi {
namespace {

void RemapPads(Attributes& attributes, std::span<const int64_t> perm) {
  const std::vector<int64_t> old = attributes.Ints("pads");
  const size_t rank = perm.size();
  if (old.size() != 2 * rank) return;
  std::vector<int64_t> pads(2 * rank);
  for (size_t i = 0; i < rank; ++i) {
    pads[i] = old[static_cast<size_t>(perm[i])];
    pads[rank + i] = old[rank + static_cast<size_t>(perm[i])];
  }
  attributes.Set("pads", pads);
}

}  // namespace

void RemapAxes(Attributes& attributes, std::span<const int64_t> perm) {
  const auto rank = static_cast<int64_t>(perm.size());
  const auto position = [&](int64_t axis) -> int64_t {
    const int64_t old = axis < 0 ? axis + rank : axis;
    return std::find(perm.begin(), perm.end(), old) - perm.begin();
  };
  if (attributes.Has("axis")) attributes.Set("axis", position(attributes.Int("axis", 0)));
  if (attributes.Has("pads")) RemapPads(attributes, perm);
  if (!attributes.Has("axes")) return;

  std::vector<int64_t> axes = attributes.Ints("axes");
  for (int64_t& axis : axes) axis = position(axis);
  std::vector<size_t> sorted(axes.size());
  std::iota(sorted.begin(), sorted.end(), size_t{0});
  std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) { return axes[a] < axes[b]; });
  for (const std::string_view name : {"starts", "ends", "steps", "axes"}) {
    if (!attributes.Has(name)) continue;
    const std::vector<int64_t> old = name == "axes" ? axes : attributes.Ints(name);
    std::vector<int64_t> moved;
    moved.reserve(sorted.size());
    for (const size_t i : sorted) moved.push_back(old[i]);
    attributes.Set(name, moved);
  }
}

}  // namespace wsi
