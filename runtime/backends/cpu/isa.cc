#include "runtime/backends/cpu/isa.h"

namespace wsi::cpu {

Isa DetectIsa() {
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                    __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
  const bool avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0;
  if (avx2 && avx512) return Isa::kAvx512;
  return avx2 ? Isa::kAvx2 : Isa::kBaseline;
}

bool MultipliesBFloat16() {
  return DetectIsa() == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16") != 0;
}

}  // namespace wsi::cpu
