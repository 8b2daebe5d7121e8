#include "runtime/backends/cuda/device.cuh"
#include "tests/backends/large_memory.h"

namespace wsi {
namespace {

using cuda::FirstItem;
using cuda::GridFor;
using cuda::ItemStride;
using cuda::kThreads;

template <typename T>
__global__ void FillKernel(Draw draw, int64_t count, T* to) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) cuda::Store(draw.At(i), to[i]);
}

struct Found {
  unsigned any;
  int64_t at;
};

template <typename Unit>
__global__ void FindKernel(const Unit* at, int64_t count, Found* found) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    if (at[i] == static_cast<Unit>(~Unit{0}) && atomicCAS(&found->any, 0U, 1U) == 0U) {
      found->at = i;
    }
  }
}

template <typename T>
void Fill(const Draw& draw, int64_t count, std::byte* to) {
  FillKernel<T><<<GridFor(count), kThreads, 0, nullptr>>>(draw, count, reinterpret_cast<T*>(to));
}
template <typename Unit>
void Find(const std::byte* at, int64_t count, Found* found) {
  FindKernel<Unit>
      <<<GridFor(count), kThreads, 0, nullptr>>>(reinterpret_cast<const Unit*>(at), count, found);
}

}  // namespace

Status FillDrawn(DType dtype, const Draw& draw, int64_t count, std::byte* to) {
  switch (dtype) {
    case DType::kF32: Fill<float>(draw, count, to); break;
    case DType::kF16: Fill<__half>(draw, count, to); break;
    case DType::kBF16: Fill<__nv_bfloat16>(draw, count, to); break;
    case DType::kI64: Fill<int64_t>(draw, count, to); break;
    case DType::kU8:
    case DType::kBool: Fill<uint8_t>(draw, count, to); break;
    default: return InternalError("nothing is drawn as this type");
  }
  WSI_RETURN_IF_CUDA_ERROR(cudaGetLastError());
  return WSI_CUDA_STATUS(cudaStreamSynchronize(nullptr));
}

Result<int64_t> FindUnset(Bytes bytes, const std::byte* at, int64_t count, std::byte* record) {
  auto* found = reinterpret_cast<Found*>(record);
  WSI_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(found, 0, sizeof(Found), nullptr));
  switch (bytes) {
    case 8: Find<uint64_t>(at, count, found); break;
    case 4: Find<uint32_t>(at, count, found); break;
    case 2: Find<uint16_t>(at, count, found); break;
    default: Find<uint8_t>(at, count, found);
  }
  WSI_RETURN_IF_CUDA_ERROR(cudaGetLastError());
  Found result{};
  WSI_RETURN_IF_CUDA_ERROR(
      cudaMemcpyAsync(&result, found, sizeof(Found), cudaMemcpyDeviceToHost, nullptr));
  WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(nullptr));
  return result.any != 0 ? result.at : int64_t{-1};
}

}  // namespace wsi
