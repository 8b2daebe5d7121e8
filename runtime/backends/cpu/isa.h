// Hot loops are compiled once per level of the x86-64 instruction set and chosen at
// run time. A loop file is built three times with WSI_ISA naming the namespace; it
// defines one table of function pointers and uses nothing of the standard library,
// whose inline functions the linker would merge across levels.
#pragma once

namespace wsi::cpu {

enum class Isa { kBaseline, kAvx2, kAvx512 };

// The highest level that this processor runs.
Isa DetectIsa();
// Whether products of bfloat16 run faster than those of fp32 (AVX512_BF16 or AMX).
bool MultipliesBFloat16();

}  // namespace wsi::cpu

// Before a loop whose iterations are independent although its pointers may be equal
// (in-place kernels).
#if defined(__clang__)
#define WSI_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define WSI_INDEPENDENT _Pragma("GCC ivdep")
#endif

// Declares what a loop file defines, `name` of type `Type`, and Get##Type().
#define WSI_DECLARE_LOOPS(Type, name)         \
  namespace baseline {                        \
  extern const Type name;                     \
  }                                           \
  namespace avx2 {                            \
  extern const Type name;                     \
  }                                           \
  namespace avx512 {                          \
  extern const Type name;                     \
  }                                           \
  inline const Type& Get##Type() {            \
    switch (DetectIsa()) {                    \
      case Isa::kAvx512: return avx512::name; \
      case Isa::kAvx2: return avx2::name;     \
      case Isa::kBaseline: break;             \
    }                                         \
    return baseline::name;                    \
  }                                           \
  static_assert(true, "wants a semicolon")
