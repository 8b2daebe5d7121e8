// Sums in fp32 that do not depend on the thread count: blocks in fp32, their totals
// in fp64, combined in order.
#pragma once

#include <cstdint>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// y[o, i] = factor * sum over r of x[o, r, i], for x of outer x reduced x inner.
class MiddleSum {
 public:
  MiddleSum(int64_t outer, int64_t reduced, int64_t inner);
  Status Require(Scratch& scratch) const;
  // T, U: types of storage.
  template <typename T, typename U>
  void Run(Context& context, const T* x, double factor, U* y) const;

 private:
  int64_t outer_;
  int64_t inner_;
  Chunks rows_;      // Of the reduced axis.
  int64_t columns_;  // Chunks of the inner axis.
};

// The sum of squares of `count` elements.
class SquareSum {
 public:
  explicit SquareSum(int64_t count) : chunks_(ChunksOf(count, 1, kGrain)) {}
  Status Require(Scratch& scratch) const { return scratch.Require(chunks_.count() * 8, 0); }
  template <typename T>
  double Run(Context& context, const T* x) const;

 private:
  Chunks chunks_;
};

}  // namespace wsi::cpu
