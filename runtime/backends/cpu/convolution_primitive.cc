#include "runtime/backends/cpu/convolution_primitive.h"

#include <algorithm>

namespace wsi::cpu {
namespace {

using dnnl::memory;

constexpr memory::data_type kF32 = memory::data_type::f32;
constexpr memory::data_type TypeOf(const Convolution& c) { return DnnlType(c.computed); }
// Output channels of a part of a weight reorder, up to a multiple of the block size.
constexpr int64_t kReorderChannels = 64;
constexpr int64_t kReorderElements = int64_t{1} << 17;  // Smaller weights stay whole.

memory::format_tag ChannelsLast(int spatial) {
  switch (spatial) {
    case 1: return memory::format_tag::nwc;
    case 2: return memory::format_tag::nhwc;
    default: return memory::format_tag::ndhwc;
  }
}

// Logical dimensions: [groups,] output channels, input channels, spatial.
memory::dims WeightDims(const Convolution& c) {
  memory::dims dims;
  if (c.groups > 1) dims.push_back(c.groups);
  dims.push_back(c.output_channels / c.groups);
  dims.push_back(c.window.channels / c.groups);
  for (int i = 0; i < c.spatial; ++i) dims.push_back(c.axis(i).kernel);
  return dims;
}

// Neighbouring output channels that a layout keeps together.
int64_t OutputBlock(const memory::desc& weights) {
  const memory::dims blocks = weights.get_inner_blks();
  const memory::dims axes = weights.get_inner_idxs();
  int64_t block = 1;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (axes[i] == 0) block *= blocks[i];
  }
  return block;
}

struct Description {
  memory::desc x;
  memory::desc y;
  memory::desc weights;
  memory::desc bias;
  memory::dims strides;
  memory::dims dilations;
  memory::dims pad_begin;
  memory::dims pad_end;
  dnnl::primitive_attr attributes;
};

Description Describe(const Convolution& c, const Slab& slab, bool bias,
                     const std::optional<memory::desc>& weights) {
  Description d;
  memory::dims x = {slab.images, c.window.channels, slab.input_rows};
  memory::dims y = {slab.images, c.output_channels, slab.output_rows};
  for (int i = 0; i < c.spatial; ++i) {
    const WindowAxis& axis = c.axis(i);
    if (i > 0) {
      x.push_back(axis.input);
      y.push_back(axis.output);
    }
    d.strides.push_back(axis.stride);
    d.dilations.push_back(axis.dilation - 1);
    d.pad_begin.push_back(i == 0 ? slab.pad_begin : axis.pad_begin);
    // oneDNN wants no more padding than the last window reaches.
    d.pad_end.push_back(i == 0 ? slab.pad_end : axis.pad_end);
  }
  d.x = memory::desc(x, TypeOf(c), ChannelsLast(c.spatial));
  d.y = memory::desc(y, TypeOf(c), ChannelsLast(c.spatial));
  d.weights = weights.value_or(memory::desc(WeightDims(c), TypeOf(c), memory::format_tag::any));
  if (bias) d.bias = memory::desc({c.output_channels}, TypeOf(c), memory::format_tag::x);
  d.attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return d;
}

constexpr dnnl::algorithm kDirect = dnnl::algorithm::convolution_direct;

dnnl::convolution_forward::primitive_desc ForwardDesc(const dnnl::engine& engine,
                                                      const Description& d,
                                                      const memory::desc& weights) {
  return {engine,      dnnl::prop_kind::forward_training,
          kDirect,     d.x,
          weights,     d.bias,
          d.y,         d.strides,
          d.dilations, d.pad_begin,
          d.pad_end,   d.attributes};
}

}  // namespace

Result<SlabPrimitive> MakeSlabPrimitive(const dnnl::engine& engine, const Convolution& convolution,
                                        ConvolutionKind kind, const Slab& slab, bool bias,
                                        const std::optional<memory::desc>& weights) {
  return DnnlTry([&] {
    const Description d = Describe(convolution, slab, bias, weights);
    SlabPrimitive result;
    result.x = d.x;
    result.y = d.y;
    const memory::desc any(WeightDims(convolution), TypeOf(convolution), memory::format_tag::any);
    if (kind == ConvolutionKind::kForward) {
      const auto forward = ForwardDesc(engine, d, d.weights);
      result.primitive = dnnl::convolution_forward(forward);
      result.weights = forward.weights_desc();
      result.scratchpad = forward.scratchpad_desc();
      result.implementation = forward.impl_info_str();
      return result;
    }
    memory::desc x = d.x;
    memory::desc y = d.y;
    if (WantsBlocks(convolution, kind)) {
      x = memory::desc(d.x.get_dims(), kF32, memory::format_tag::nChw16c);
      y = memory::desc(d.y.get_dims(), kF32, memory::format_tag::nChw16c);
      result.blocked_x = x;
      result.blocked_y = y;
      result.block_x = dnnl::reorder({engine, d.x, engine, x});
      result.block_y = dnnl::reorder({engine, d.y, engine, y});
    }
    const dnnl::convolution_forward::primitive_desc hint(engine, dnnl::prop_kind::forward_training,
                                                         kDirect, x, any, y, d.strides, d.dilations,
                                                         d.pad_begin, d.pad_end, d.attributes);
    if (kind == ConvolutionKind::kInputGrad) {
      const dnnl::convolution_backward_data::primitive_desc backward(
          engine, kDirect, d.x, d.weights, d.y, d.strides, d.dilations, d.pad_begin, d.pad_end,
          hint, d.attributes);
      result.primitive = dnnl::convolution_backward_data(backward);
      result.weights = backward.weights_desc();
      result.scratchpad = backward.scratchpad_desc();
      result.implementation = backward.impl_info_str();
      return result;
    }
    const memory::desc gradient(WeightDims(convolution), kF32, memory::format_tag::any);
    const dnnl::convolution_backward_weights::primitive_desc backward(
        engine, kDirect, x, weights.value_or(gradient), y, d.strides, d.dilations, d.pad_begin,
        d.pad_end, hint, d.attributes);
    result.primitive = dnnl::convolution_backward_weights(backward);
    result.weights = backward.diff_weights_desc();
    result.scratchpad = backward.scratchpad_desc();
    result.implementation = backward.impl_info_str();
    return result;
  });
}

memory::desc PlainWeights(const Convolution& c, DType dtype) {
  const memory::dims dims = WeightDims(c);
  const int64_t channels = c.window.channels / c.groups;
  memory::dims strides;
  const int64_t filter = c.window.kernel_volume() * channels;
  if (c.groups > 1) strides.push_back(c.output_channels / c.groups * filter);
  strides.push_back(filter);
  strides.push_back(1);
  int64_t stride = filter;
  for (int i = 0; i < c.spatial; ++i) {
    stride /= c.axis(i).kernel;
    strides.push_back(stride);
  }
  return {dims, DnnlType(dtype), strides};
}

Result<std::vector<ReorderPart>> MakeReorder(const dnnl::engine& engine, const Convolution& c,
                                             const memory::desc& from, const memory::desc& to) {
  return DnnlTry([&] {
    const memory::dims dims = WeightDims(c);
    std::vector<ReorderPart> parts;
    const auto add = [&](const memory::desc& part_from, const memory::desc& part_to) {
      ReorderPart part;
      part.from = memory(part_from, engine, DNNL_MEMORY_NONE);
      part.to = memory(part_to, engine, DNNL_MEMORY_NONE);
      part.reorder = dnnl::reorder(part.from, part.to);
      parts.push_back(part);
    };
    if (c.groups > 1 || c.weight_elements() < kReorderElements) {
      add(from, to);
      return parts;
    }
    const int64_t step = AlignUp(kReorderChannels, std::max(OutputBlock(from), OutputBlock(to)));
    memory::dims offset(dims.size(), 0);
    memory::dims size = dims;
    for (; offset[0] < dims[0]; offset[0] += step) {
      size[0] = std::min(step, dims[0] - offset[0]);
      add(from.submemory_desc(size, offset), to.submemory_desc(size, offset));
    }
    return parts;
  });
}

}  // namespace wsi::cpu
