// Blocks of elements between the types of two bytes and fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "runtime/backends/cpu/storage.h"
#include "runtime/base/dtype.h"

namespace wsi::cpu {

// f16 or bf16.
inline bool IsHalf(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

// y[i] = x[i], i < n. REQUIRES: IsHalf(from).
void Widen(DType from, const std::byte* x, int64_t n, float* y);
// To nearest, ties to even. REQUIRES: IsHalf(to).
void Narrow(const float* x, int64_t n, DType to, std::byte* y);

// Where fp32 results of a row that is stored as T are collected: in place, or in `scratch`.
template <typename T>
float* RowSums(T* row, float* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    return row;
  } else {
    return scratch;
  }
}
// Stores what was collected there.
template <typename T>
void StoreRow(const float* sums, int64_t n, T* row) {
  if constexpr (!std::is_same_v<T, float>) {
    Narrow(sums, n, StorageType<T>(), reinterpret_cast<std::byte*>(row));
  }
}

}  // namespace wsi::cpu
