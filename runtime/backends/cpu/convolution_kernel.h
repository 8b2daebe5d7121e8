// A convolution as one-thread oneDNN primitives on row slabs.
#pragma once

#include <memory>
#include <vector>

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/cpu/convolution_primitive.h"
#include "runtime/backends/cpu/convolution_slabs.h"

namespace wsi::cpu {

// Weights are reordered into oneDNN's layout at the start of a launch, in shared
// scratch. Of a weight gradient each slab writes its own partial result there, and
// the partial results are added in slab order.
class ConvolutionKernel final : public Kernel {
 public:
  static KernelResult Make(const Convolution& convolution, ConvolutionKind kind, bool bias,
                           Context& context);
  Status Run(const LaunchArguments& arguments) override;

  // The distinct oneDNN implementations in use.
  std::vector<std::string> Implementations() const;

 private:
  struct SlabWork {
    Slab slab;
    const SlabPrimitive* primitive = nullptr;  // Null: dx of these rows is 0.
    dnnl::memory x;
    dnnl::memory y;
    dnnl::memory weights;
    dnnl::memory bias;
    dnnl::memory scratchpad;
  };

  ConvolutionKernel(const Convolution& convolution, ConvolutionKind kind, bool bias,
                    Context& context)
      : convolution_(convolution), kind_(kind), bias_(bias), context_(context) {}
  Status Prepare();
  Status AddSlab(const Slab& slab);
  Status RunSlab(SlabWork& work, const LaunchArguments& arguments, int64_t index, int worker);
  Status RunReorder(const void* from, void* to);
  void AddPartials();

  Convolution convolution_;
  ConvolutionKind kind_;
  bool bias_;
  Context& context_;
  std::vector<std::unique_ptr<SlabPrimitive>> primitives_;
  std::vector<SlabWork> slabs_;
  std::vector<ReorderPart> reorder_;  // Empty where the layouts agree.
  int64_t weight_floats_ = 0;         // Of one copy in oneDNN's layout, padded.
};

}  // namespace wsi::cpu
