#include "runtime/backends/cpu/conversion.h"

#include "runtime/backends/cpu/loops/conversion_loops.h"
#include "runtime/base/status.h"

namespace wsi::cpu {

void Widen(DType from, const std::byte* x, int64_t n, float* y) {
  const ConversionLoops& loops = GetConversionLoops();
  if (from == DType::kBF16) return loops.widen_bfloat16(reinterpret_cast<const BFloat16*>(x), n, y);
  WSI_CHECK(from == DType::kF16);
  loops.widen_half(reinterpret_cast<const Half*>(x), n, y);
}

void Narrow(const float* x, int64_t n, DType to, std::byte* y) {
  const ConversionLoops& loops = GetConversionLoops();
  if (to == DType::kBF16) return loops.narrow_bfloat16(x, n, reinterpret_cast<BFloat16*>(y));
  WSI_CHECK(to == DType::kF16);
  loops.narrow_half(x, n, reinterpret_cast<Half*>(y));
}

}  // namespace wsi::cpu
