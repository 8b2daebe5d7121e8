// A convolution as one-thread oneDNN primitives on row slabs.
#pragma once

#include <memory>
#include <vector>

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/cpu/convolution_primitive.h"
#include "runtime/backends/cpu/convolution_slabs.h"

namespace wsi::cpu {

// Weights are reordered into oneDNN's layout at the start of a launch, in shared
// scratch; where a slab of odd sizes has no fast kernel for the layout of the others,
// into a second one for it. A weight gradient is the sum of several partial results there, each of
// which adds up the slabs of one lane: lane l has slabs l, l + lanes, ... in order.
class ConvolutionKernel final : public Kernel {
 public:
  static KernelResult Make(const Convolution& convolution, ConvolutionKind kind, bool bias,
                           Context& context);
  Status Run(const LaunchArguments& arguments) override;

  // The distinct oneDNN implementations in use.
  std::vector<std::string> Implementations() const;

 private:
  // One of oneDNN's layouts of the weights, in shared scratch.
  struct WeightLayout {
    dnnl::memory::desc desc;
    std::vector<ReorderPart> reorder;  // Empty where it is the plan's own.
    Bytes offset = 0;
  };
  struct SlabWork {
    Slab slab;
    const SlabPrimitive* primitive = nullptr;  // Null: dx of these rows is 0.
    size_t layout = 0;                         // In layouts_.
    dnnl::memory x;
    dnnl::memory y;
    // Copies of x and y in blocks of channels, per worker, where oneDNN wants them.
    dnnl::memory blocked_x;
    dnnl::memory blocked_y;
    dnnl::memory weights;
    dnnl::memory bias;
    dnnl::memory scratchpad;
  };

  ConvolutionKernel(const Convolution& convolution, ConvolutionKind kind, bool bias,
                    Context& context)
      : convolution_(convolution), kind_(kind), bias_(bias), context_(context) {}
  Status Prepare();
  Status MakePrimitives(const std::vector<Slab>& slabs);
  Result<SlabPrimitive> MakePrimitive(const Slab& slab) const;
  Status MakeLayouts();
  Status RequireScratch();
  void AddSlab(const Slab& slab);
  // The elements of x or dx, and of y or dy, that belong to a slab.
  struct Part {
    int64_t offset = 0;
    int64_t elements = 0;
  };
  Part InputPart(const Slab& slab) const;
  Part OutputPart(const Slab& slab) const;
  Bytes ConvertedBytes(const SlabPrimitive& primitive) const;
  void ConvertWeights(const LaunchArguments& arguments);
  // Forward or input gradient of one slab, between tensors of the computed type.
  Status RunPrimitive(SlabWork& work, const std::byte* from, std::byte* to,
                      const LaunchArguments& arguments, int worker);
  Status RunSlab(SlabWork& work, const LaunchArguments& arguments, int worker);
  Status RunWeightGradSlab(SlabWork& work, const LaunchArguments& arguments, float* out,
                           int worker);
  Status RunLane(const LaunchArguments& arguments, int64_t lane, int worker);
  Status RunWeightGrad(const LaunchArguments& arguments);
  Status BlockActivations(SlabWork& work, int worker);
  Status RunReorder(const std::vector<ReorderPart>& reorder, const void* from, void* to);
  void AddPartials();

  Convolution convolution_;
  ConvolutionKind kind_;
  bool bias_;
  Context& context_;
  // Primitive i is for slabs of the sizes of geometries_[i].
  std::vector<std::unique_ptr<SlabPrimitive>> primitives_;
  std::vector<Slab> geometries_;
  std::vector<WeightLayout> layouts_;  // Of a weight gradient: one.
  std::vector<SlabWork> slabs_;
  int64_t weight_floats_ = 0;  // Of a weight gradient's partial result, padded.
  int64_t lanes_ = 1;
  Bytes scratchpad_bytes_ = 0;
  // Offsets in a worker's scratch and in the shared one.
  Bytes copies_ = 0;  // Of a slab's x and y, blocked or converted.
  Bytes converted_weights_ = 0;
  Bytes converted_bias_ = 0;
};

}  // namespace wsi::cpu
