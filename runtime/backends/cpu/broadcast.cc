#include "runtime/backends/cpu/broadcast.h"

namespace wsi::cpu {

Result<std::vector<int64_t>> OperandStrides(const LaunchSpec& launch, const Shape& shape,
                                            const Shape& out) {
  if (shape.rank() > out.rank()) return CompileError(launch, "operand of higher rank than output");
  std::vector<int64_t> strides(static_cast<size_t>(out.rank()), 0);
  int64_t stride = 1;
  for (int back = 1; back <= shape.rank(); ++back) {
    const int64_t size = shape[-back];
    if (size != out[-back] && size != 1) {
      return CompileError(launch, shape.ToString() + " does not broadcast to " + out.ToString());
    }
    if (size != 1) strides[strides.size() - static_cast<size_t>(back)] = stride;
    stride *= size;
  }
  return strides;
}

Result<Broadcast> Broadcast::Make(const LaunchSpec& launch, std::span<const Shape> operands,
                                  const Shape& out) {
  WSI_CHECK(operands.size() <= kMaxOperands);
  std::vector<std::vector<int64_t>> all;
  for (const Shape& shape : operands) {
    WSI_ASSIGN_OR_RETURN(std::vector<int64_t> strides, OperandStrides(launch, shape, out));
    all.push_back(std::move(strides));
  }
  // Axes outermost first, neighbours merged where every operand walks them as one.
  std::vector<int64_t> sizes;
  std::vector<Offsets> strides;
  for (int axis = 0; axis < out.rank(); ++axis) {
    if (out[axis] == 1) continue;
    Offsets here{};
    for (size_t k = 0; k < all.size(); ++k) here[k] = all[k][static_cast<size_t>(axis)];
    bool merges = !sizes.empty();
    for (size_t k = 0; merges && k < all.size(); ++k) {
      merges = strides.back()[k] == here[k] * out[axis];
    }
    if (merges) {
      sizes.back() *= out[axis];
      strides.back() = here;
    } else {
      sizes.push_back(out[axis]);
      strides.push_back(here);
    }
  }
  Broadcast plan;
  if (!sizes.empty()) {
    plan.inner_ = sizes.back();
    plan.inner_strides_ = strides.back();
    sizes.pop_back();
    strides.pop_back();
  }
  for (const int64_t size : sizes) plan.rows_ *= size;
  plan.sizes_ = std::move(sizes);
  plan.strides_ = std::move(strides);
  return plan;
}

}  // namespace wsi::cpu
