// Sums into some columns of a matrix whose elements may have two bytes.
#pragma once

#include <algorithm>
#include <type_traits>

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/element_types.h"

namespace wsi::cpu {

// `rows` rows of `width` sums, all 0 at first. Row s is stored as T from stored + s * stride
// on; sums of 16-bit floats are collected in fp32 in a worker's scratch and rounded once, by
// Store. Other sums are collected where they are stored.
template <typename T>
class ColumnSums {
 public:
  using Sum = std::conditional_t<kIsHalf<T>, float, T>;

  // For any chunk of `columns` columns.
  static Status Require(Scratch& scratch, int64_t rows, const Chunks& columns) {
    if constexpr (!kIsHalf<T>) return {};
    WSI_ASSIGN_OR_RETURN(Bytes bytes, CheckedMul(rows, std::min(columns.grain, columns.items)));
    WSI_ASSIGN_OR_RETURN(bytes, CheckedMul(bytes, int64_t{sizeof(Sum)}));
    return scratch.Require(0, bytes);
  }

  ColumnSums(T* stored, int64_t rows, int64_t stride, int64_t width, const Scratch& scratch,
             int worker)
      : stored_(stored), rows_(rows), stride_(stride), width_(width) {
    if constexpr (kIsHalf<T>) {
      sums_ = scratch.worker<Sum>(worker);
      sum_stride_ = width;
    } else {
      sums_ = stored;
      sum_stride_ = stride;
    }
    for (int64_t s = 0; s < rows; ++s) std::fill_n(Row(s), width, Sum{});
  }

  Sum* Row(int64_t s) const { return sums_ + s * sum_stride_; }
  void Store() const {
    if constexpr (kIsHalf<T>) {
      for (int64_t s = 0; s < rows_; ++s) {
        Narrow(Row(s), width_, ElementType<T>(),
               reinterpret_cast<std::byte*>(stored_ + s * stride_));
      }
    }
  }

 private:
  T* stored_;
  int64_t rows_;
  int64_t stride_;
  int64_t width_;
  Sum* sums_ = nullptr;
  int64_t sum_stride_ = 0;
};

}  // namespace wsi::cpu
