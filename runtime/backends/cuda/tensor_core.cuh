// Tensor cores and asynchronous copies to shared memory, by warp: mma.sync of 16 x 8 x 16
// halves with fp32 sums (PTX ISA, "Matrix Fragments for mma.m16n8k16").
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace wsi::cuda {

// The block's dynamic shared memory, aligned to 128.
__device__ inline unsigned char* DynamicShared() {
  extern __shared__ __align__(128) unsigned char dynamic_shared[];
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

// Four 8 x 8 matrices of 2-byte elements from shared memory, each transposed.
// row(lane): where row lane % 8 of matrix lane / 8 is.
template <typename Row>
__device__ void LoadTransposed(unsigned (&to)[4], const Row& row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(SharedAddress(row(threadIdx.x % 32)))
               : "memory");
}

template <typename T>
__device__ void MultiplyAdd(const unsigned (&a)[4], const unsigned* b, float (&c)[4]);
template <>
__device__ inline void MultiplyAdd<__half>(const unsigned (&a)[4], const unsigned* b,
                                           float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ inline void MultiplyAdd<__nv_bfloat16>(const unsigned (&a)[4], const unsigned* b,
                                                  float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c[i][j] += a[i] * b[j] for fragments of 16 x 16 and 16 x 8, two of b in each element.
template <typename T, int kM, int kN>
__device__ void MultiplyAddTiles(const unsigned (&a)[kM][4], const unsigned (&b)[kN / 2][4],
                                 float (&c)[kM][kN][4]) {
#pragma unroll
  for (int i = 0; i < kM; ++i) {
#pragma unroll
    for (int j = 0; j < kN; ++j) MultiplyAdd<T>(a[i], &b[j / 2][j % 2 * 2], c[i][j]);
  }
}

}  // namespace wsi::cuda
