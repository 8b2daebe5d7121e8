// Hopper's tensor cores and asynchronous copies to shared memory (PTX ISA, "Asynchronous
// Warpgroup Level Matrix Multiply-Accumulate Instructions"; needs sm_90a).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "runtime/backends/cuda/panels.cuh"

namespace wsi::cuda {

// The block's dynamic shared memory, aligned to 1,024 as panels have to be.
__device__ inline uint16_t* DynamicShared() {
  extern __shared__ __align__(1024) uint16_t dynamic_shared[];
  return dynamic_shared;
}

__device__ inline unsigned SharedAddress(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}

// 16 bytes, or 16 zero bytes where not `valid`. Ends by WaitForCopies.
// kNear: through the first-level cache, for what other threads of the block read too.
template <bool kNear>
__device__ void CopyAsync(void* to, const void* from, bool valid) {
  const unsigned bytes = valid ? 16 : 0;
  if constexpr (kNear) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(to)),
                 "l"(from), "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(to)),
                 "l"(from), "r"(bytes)
                 : "memory");
  }
}
// Ends a group of this thread's copies.
__device__ inline void EndCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most the newest `kLeft` groups of this thread are under way.
template <int kLeft>
__device__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}
// What this thread wrote to shared memory is seen by products behind the next barrier.
__device__ inline void ShowToProducts() {
  // Of shared memory alone: the fence of all memory waits for the copies under way.
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Before the first product since sums were touched by other instructions.
__device__ inline void BeginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Ends a group of this warpgroup's products.
__device__ inline void EndProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kLeft>
__device__ void WaitForProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}

// A matrix descriptor: columns next to each other, 128-byte swizzle; panels `panel_bytes`
// apart, groups of 8 rows 1,024 bytes.
__device__ inline uint64_t PanelDescriptor(const uint16_t* at, unsigned panel_bytes) {
  constexpr uint64_t kGroup = 1024 >> 4;
  constexpr uint64_t kSwizzle128 = 1;
  return uint64_t{SharedAddress(at) >> 4} | uint64_t{panel_bytes >> 4} << 16 | kGroup << 32 |
         kSwizzle128 << 62;
}

// Registers of a product, by eight columns.
#define WSI_SUMS_8(c, j) "+f"((c)[j][0]), "+f"((c)[j][1]), "+f"((c)[j][2]), "+f"((c)[j][3])
#define WSI_SUMS_32(c, j) \
  WSI_SUMS_8(c, j), WSI_SUMS_8(c, (j) + 1), WSI_SUMS_8(c, (j) + 2), WSI_SUMS_8(c, (j) + 3)

#define WSI_PRODUCT_64(type, a, b, c)                                               \
  asm volatile(                                                                     \
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                   \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "    \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, " \
      "%31}, %32, %33, p, 1, 1, 1, 1;\n}"                                           \
      : WSI_SUMS_32(c, 0), WSI_SUMS_32(c, 4)                                        \
      : "l"(a), "l"(b))
#define WSI_PRODUCT_128(type, a, b, c)                                              \
  asm volatile(                                                                     \
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                    \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                  \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "    \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, " \
      "%31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, " \
      "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, " \
      "%61, %62, %63}, %64, %65, p, 1, 1, 1, 1;\n}"                                 \
      : WSI_SUMS_32(c, 0), WSI_SUMS_32(c, 4), WSI_SUMS_32(c, 8), WSI_SUMS_32(c, 12) \
      : "l"(a), "l"(b))

// sums += the product of 16 rows of the panel at `a`, transposed, and of kColumns / 64 panels
// from `b` on, by a warpgroup: warp w has rows 16 w to 16 w + 15 of 64. sums[j][e]: row
// lane / 4 + e / 2 * 8, column 8 j + lane % 4 * 2 + e % 2. Ends by WaitForProducts.
template <typename T, int kColumns>
__device__ void MultiplyPanels(const uint16_t* a, const uint16_t* b, unsigned panel_bytes,
                               float (&sums)[kColumns / 8][4]) {
  static_assert(kColumns == 64 || kColumns == 128);
  const uint64_t left = PanelDescriptor(a, panel_bytes);
  const uint64_t right = PanelDescriptor(b, panel_bytes);
  constexpr bool kHalf = std::is_same_v<T, __half>;
  if constexpr (kColumns == 64 && kHalf) WSI_PRODUCT_64("f16", left, right, sums);
  if constexpr (kColumns == 64 && !kHalf) WSI_PRODUCT_64("bf16", left, right, sums);
  if constexpr (kColumns == 128 && kHalf) WSI_PRODUCT_128("f16", left, right, sums);
  if constexpr (kColumns == 128 && !kHalf) WSI_PRODUCT_128("bf16", left, right, sums);
}

#undef WSI_SUMS_8
#undef WSI_SUMS_32
#undef WSI_PRODUCT_64
#undef WSI_PRODUCT_128

}  // namespace wsi::cuda
