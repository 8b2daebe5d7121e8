// oneDNN primitives of convolution slabs and of weight reorders.
#pragma once

#include <dnnl.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/cpu/convolution_slabs.h"
#include "runtime/backends/cpu/onednn.h"

namespace wsi::cpu {

// A slab's primitive with the layouts that it wants. Slabs of the same sizes and
// padding share one.
struct SlabPrimitive {
  dnnl::primitive primitive;
  dnnl::memory::desc x;  // As the plan holds them: channels last.
  dnnl::memory::desc y;
  // Reorders of x and y into the layouts that the primitive reads, or empty.
  dnnl::reorder block_x;
  dnnl::reorder block_y;
  dnnl::memory::desc blocked_x;
  dnnl::memory::desc blocked_y;
  dnnl::memory::desc weights;
  dnnl::memory::desc scratchpad;
  std::string implementation;
};

// `weights`: the layout that the other slabs of the launch have; none lets oneDNN
// choose. `bias`: the forward kernel adds one.
Result<SlabPrimitive> MakeSlabPrimitive(const dnnl::engine& engine, const Convolution& convolution,
                                        ConvolutionKind kind, const Slab& slab, bool bias,
                                        const std::optional<dnnl::memory::desc>& weights);

// The weights, or their gradient, as the plan orders them: output channels, spatial
// axes, input channels of a group, row-major.
dnnl::memory::desc PlainWeights(const Convolution& convolution, DType dtype);

// One part of a copy between two layouts of the same weights; the parts run side by
// side. Offsets are within the descriptors.
struct ReorderPart {
  dnnl::reorder reorder;
  dnnl::memory from;
  dnnl::memory to;
};
Result<std::vector<ReorderPart>> MakeReorder(const dnnl::engine& engine,
                                             const Convolution& convolution,
                                             const dnnl::memory::desc& from,
                                             const dnnl::memory::desc& to);

}  // namespace wsi::cpu
