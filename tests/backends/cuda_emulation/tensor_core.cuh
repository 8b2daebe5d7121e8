// What runtime/backends/cuda/tensor_core.cuh has, on the processor.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace wsi::cuda {

inline unsigned char* DynamicShared() {
  alignas(128) static unsigned char bytes[size_t{228} << 10];
  return bytes;
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

template <typename Row>
void LoadTransposed(unsigned (&to)[4], const Row& row) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned m = 0; m < 4; ++m) {
    uint16_t pair[2];
    for (unsigned i = 0; i < 2; ++i) {
      const auto* from = static_cast<const uint16_t*>(row(m * 8 + lane % 4 * 2 + i));
      pair[i] = from[lane / 4];
    }
    std::memcpy(&to[m], pair, 4);
  }
}

// Fragments of all threads of the block.
template <typename T, int kM, int kN>
void MultiplyAddTiles(const unsigned (&a)[kM][4], const unsigned (&b)[kN / 2][4],
                      float (&c)[kM][kN][4]) {
  static unsigned all_a[1024][kM][4];
  static unsigned all_b[1024][kN / 2][4];
  const unsigned thread = emulation::ThreadNumber();
  std::memcpy(all_a[thread], a, sizeof(a));
  std::memcpy(all_b[thread], b, sizeof(b));
  emulation::Synchronize();
  const unsigned lane = thread % 32;
  const unsigned warp = thread - lane;
  const auto element = [](const unsigned& pair, unsigned k) {
    return static_cast<float>(std::bit_cast<std::array<T, 2>>(pair)[k % 2]);
  };
  for (int i = 0; i < kM; ++i) {
    for (int j = 0; j < kN; ++j) {
      for (unsigned e = 0; e < 4; ++e) {
        const unsigned row = lane / 4;
        const unsigned column = lane % 4 * 2 + e % 2;
        for (unsigned k = 0; k < 16; ++k) {
          const unsigned from_a = warp + row * 4 + k % 8 / 2;
          const unsigned from_b = warp + column * 4 + k % 8 / 2;
          c[i][j][e] += element(all_a[from_a][i][k / 8 * 2 + e / 2], k) *
                        element(all_b[from_b][j / 2][static_cast<unsigned>(j) % 2 * 2 + k / 8], k);
        }
      }
    }
  }
  emulation::Synchronize();
}

}  // namespace wsi::cuda
