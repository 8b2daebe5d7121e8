#include "runtime/backends/cpu/loops/conversion_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

template <typename From, typename To>
void Convert(const From* __restrict x, int64_t n, To* __restrict y) {
  for (int64_t i = 0; i < n; ++i) Store(Load(x[i]), y[i]);
}

}  // namespace

extern const ConversionLoops kConversionLoops = {
    .widen_half = Convert<Half, float>,
    .widen_bfloat16 = Convert<BFloat16, float>,
    .narrow_half = Convert<float, Half>,
    .narrow_bfloat16 = Convert<float, BFloat16>,
};

}  // namespace wsi::cpu::WSI_ISA
