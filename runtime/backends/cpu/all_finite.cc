#include "runtime/backends/cpu/all_finite.h"

#include <algorithm>

#include "runtime/backends/cpu/loops/optimizer_loops.h"

namespace wsi::cpu {

// Inputs: x, [before].
KernelResult CompileAllFinite(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 2, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32, Shape()));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, Shape()));
  const Chunks chunks = ChunksOf(launch.inputs[0].shape.ElementCount(), 1, kGrain);
  WSI_RETURN_IF_ERROR(context.scratch.Require(chunks.count(), 0));
  return MakeKernel([chunks, &context](const LaunchArguments& a) {
    const float* x = a.input<float>(0);
    const float* before = a.input<float>(1);
    auto* finite = context.scratch.shared<bool>();
    const OptimizerLoops& loops = GetOptimizerLoops();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t chunk, int) {
      finite[chunk] = loops.all_finite(x + begin, end - begin);
    });
    const bool all = std::all_of(finite, finite + chunks.count(), [](bool f) { return f; });
    const float so_far = before == nullptr ? 1.0F : *before;
    *a.output<float>(0) = all ? so_far : 0.0F;
  });
}

}  // namespace wsi::cpu
