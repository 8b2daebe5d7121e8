// Many tensors in one launch: they go by a table, which is an argument of the kernel; each block
// works on one chunk of one tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

inline constexpr int64_t kChunk = 16384;                  // Elements.
inline constexpr size_t kMostArgumentBytes = 4096;        // Of all of a kernel's arguments.
inline constexpr int64_t kMostBlocks = int64_t{1} << 30;  // Of one launch.

// `Entry` has members count and first_block.
template <typename Entry, int kMost>
struct Table {
  int entries = 0;
  int64_t blocks = 0;
  Entry at[kMost];

  // False where the table is full.
  bool Add(Entry entry) {
    const int64_t chunks = CeilDiv(entry.count, kChunk);
    if (entries == kMost || blocks + chunks > kMostBlocks) return false;
    entry.first_block = blocks;
    blocks += chunks;
    at[entries++] = entry;
    return true;
  }
  // The entry that this block works on, and its elements [begin, end).
  __device__ const Entry& Find(int64_t* begin, int64_t* end) const {
    int e = 0;
    for (int above = entries; above - e > 1;) {
      const int middle = (e + above) / 2;
      (static_cast<int64_t>(blockIdx.x) >= at[middle].first_block ? e : above) = middle;
    }
    *begin = (static_cast<int64_t>(blockIdx.x) - at[e].first_block) * kChunk;
    const int64_t rest = at[e].count - *begin;
    *end = *begin + (rest < kChunk ? rest : kChunk);
    return at[e];
  }
};

template <typename T, int kMost>
std::vector<Table<T, kMost>> MakeTables(const std::vector<T>& entries) {
  std::vector<Table<T, kMost>> tables(1);
  for (const T& entry : entries) {
    if (tables.back().Add(entry)) continue;
    tables.emplace_back();
    WSI_CHECK(tables.back().Add(entry));
  }
  return tables;
}

}  // namespace wsi::cuda
