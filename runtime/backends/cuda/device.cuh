// What kernels are written with: element types, wide accesses, sums of a block.
//
// Kernels index with 64 bits, sum in an order that depends on shapes alone, and compute
// f16 and bf16 in fp32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/backends/cuda/compile.h"
#include "runtime/workspace/cuda_columns.h"

namespace wsi::cuda {

__device__ inline float Load(const float& v) { return v; }
__device__ inline double Load(const double& v) { return v; }
__device__ inline float Load(const __half& v) { return __half2float(v); }
__device__ inline float Load(const __nv_bfloat16& v) { return __bfloat162float(v); }
template <typename T>
requires std::is_integral_v<T> __device__ T Load(const T& v) { return v; }

// To nearest, ties to even; one rounding from fp64 too.
template <typename From>
__device__ void Store(From v, float& out) {
  out = static_cast<float>(v);
}
template <typename From>
__device__ void Store(From v, double& out) {
  out = static_cast<double>(v);
}
__device__ inline void Store(float v, __half& out) { out = __float2half_rn(v); }
__device__ inline void Store(double v, __half& out) { out = __double2half(v); }
__device__ inline void Store(float v, __nv_bfloat16& out) { out = __float2bfloat16_rn(v); }
__device__ inline void Store(double v, __nv_bfloat16& out) { out = __double2bfloat16(v); }
template <typename From, typename T>
requires std::is_integral_v<T> __device__ void Store(From v, T& out) { out = static_cast<T>(v); }

// What values of a type are computed in: fp32 for halves.
template <typename T>
using Computed =
    std::conditional_t<std::is_same_v<T, __half> || std::is_same_v<T, __nv_bfloat16>, float, T>;

// N elements moved as one access.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};
template <typename T, int N>
__device__ void LoadPack(const T* from, Computed<T> (&to)[N]) {
  const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = Load(pack.v[i]);
}
template <typename T, int N>
__device__ void StorePack(const Computed<T> (&from)[N], T* to) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) Store(from[i], pack.v[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// Elements of one 16-byte access, or 1 where `columns` is no multiple of them.
template <typename T>
constexpr int kWide = 16 / static_cast<int>(sizeof(T));
template <typename T>
bool IsWide(int64_t columns) {
  return columns % kWide<T> == 0;
}

inline constexpr int64_t kMaxGrid = int64_t{1} << 16;  // Of a loop with strides of the grid.

// Blocks for `items` of one thread each; kernels loop where there are more.
inline unsigned GridFor(int64_t items, int threads = kThreads) {
  return static_cast<unsigned>(std::clamp<int64_t>(CeilDiv(items, threads), 1, kMaxGrid));
}
// For kernels that do not loop.
inline unsigned ExactGridFor(int64_t items) {
  return static_cast<unsigned>(std::clamp<int64_t>(CeilDiv(items, kThreads), 1, INT32_MAX));
}
__device__ inline int64_t FirstItem() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t ItemStride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// The sum over the threads of a block, the same in all of them, in a fixed order.
// REQUIRES: all threads call it; blockDim.x is a multiple of 32, at most 1024.
template <typename T>
__device__ T BlockSum(T value) {
  __shared__ T warps[32];
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  __syncthreads();  // Of an earlier call, all have read.
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T total = 0;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) total += warps[w];
  return total;
}

// The largest over the threads of a block; NaN is ignored.
template <typename T>
__device__ T BlockMax(T value) {
  __shared__ T warps[32];
  for (int step = 16; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(~0U, value, step);
    value = other > value ? other : value;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T largest = warps[0];
  for (unsigned w = 1; w < blockDim.x / 32; ++w) largest = warps[w] > largest ? warps[w] : largest;
  return largest;
}

// Notes the first fault; later ones are lost.
__device__ inline void Raise(FaultRecord* record, int place, int64_t value) {
  if (atomicCAS(&record->place, 0U, static_cast<unsigned>(place) + 1U) == 0U) {
    record->value = value;
  }
}

// f(std::type_identity<T>) for the type that values of `dtype` are stored as.
template <typename F>
KernelResult ForStorage(const LaunchSpec& launch, DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF32: return f(std::type_identity<float>{});
    case DType::kF16: return f(std::type_identity<__half>{});
    case DType::kBF16: return f(std::type_identity<__nv_bfloat16>{});
    default: return CompileError(launch, "wants f32, f16 or bf16");
  }
}
// As above, and double.
template <typename F>
KernelResult ForFloat(const LaunchSpec& launch, DType dtype, const F& f) {
  return dtype == DType::kF64 ? f(std::type_identity<double>{}) : ForStorage(launch, dtype, f);
}
// fp32 or fp64.
template <typename F>
KernelResult ForWide(const LaunchSpec& launch, DType dtype, const F& f) {
  if (dtype == DType::kF64) return f(std::type_identity<double>{});
  if (dtype == DType::kF32) return f(std::type_identity<float>{});
  return CompileError(launch, "wants f32 or f64");
}
// Any type; bool as u8.
template <typename F>
KernelResult ForElement(const LaunchSpec& launch, DType dtype, const F& f) {
  switch (dtype) {
    case DType::kI64: return f(std::type_identity<int64_t>{});
    case DType::kI32: return f(std::type_identity<int32_t>{});
    case DType::kI16: return f(std::type_identity<int16_t>{});
    case DType::kI8: return f(std::type_identity<int8_t>{});
    case DType::kU64: return f(std::type_identity<uint64_t>{});
    case DType::kU32: return f(std::type_identity<uint32_t>{});
    case DType::kU16: return f(std::type_identity<uint16_t>{});
    case DType::kU8:
    case DType::kBool: return f(std::type_identity<uint8_t>{});
    default: return ForFloat(launch, dtype, f);
  }
}

}  // namespace wsi::cuda
