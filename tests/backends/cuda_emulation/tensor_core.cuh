// What runtime/backends/cuda/tensor_core.cuh has, on the processor.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "runtime/backends/cuda/panels.cuh"

namespace wsi::cuda {

inline uint16_t* DynamicShared() {
  alignas(1024) static uint16_t elements[size_t{114} << 10];
  return elements;
}

template <bool>
void CopyAsync(void* to, const void* from, bool valid) {
  if (valid) {
    std::memcpy(to, from, 16);
  } else {
    std::memset(to, 0, 16);
  }
}
inline void EndCopies() {}
template <int>
void WaitForCopies() {}
inline void ShowToProducts() {}
inline void BeginProducts() {}
inline void EndProducts() {}
template <int>
void WaitForProducts() {}

template <typename T, int kColumns>
void MultiplyPanels(const uint16_t* a, const uint16_t* b, unsigned panel_bytes,
                    float (&sums)[kColumns / 8][4]) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const auto warp = static_cast<int>(threadIdx.x / 32 % 4);
  const auto element = [&](const uint16_t* panels, int row, int column) {
    const uint16_t* panel = panels + column / kPanelColumns * static_cast<int>(panel_bytes / 2);
    const int pack = column % kPanelColumns / kPackElements;
    return static_cast<float>(std::bit_cast<T>(panel[PanelAt(row, pack) + column % kPackElements]));
  };
  for (int j = 0; j < kColumns / 8; ++j) {
    for (int e = 0; e < 4; ++e) {
      const int row = warp * 16 + lane / 4 + e / 2 * 8;
      const int column = j * 8 + lane % 4 * 2 + e % 2;
      for (int k = 0; k < 16; ++k) sums[j][e] += element(a, k, row) * element(b, k, column);
    }
  }
}

}  // namespace wsi::cuda
