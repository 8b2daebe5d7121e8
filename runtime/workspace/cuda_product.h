// How products of matrices are cut into those that cuBLASLt is given, and where what they keep
// lies in the workspace.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/base/dtype.h"
#include "runtime/workspace/workspace.h"

namespace wsi::cuda {

// Results have no more rows and columns than cuBLASLt is known to take.
inline constexpr int64_t kMostProductRows = int64_t{1} << 21;
inline constexpr int64_t kMostProductColumns = int64_t{1} << 24;

// Sums of more terms than kMostTerms are made of slabs. Of what is not negative, fp16 loses up
// to 7e-9 a term: 2.2e-4 of the longest that is one piece, 5.4e-5 of slabs.
inline constexpr int64_t kMostTerms = 32768;
inline constexpr int64_t kSlabTerms = 8192;
inline constexpr Bytes kMostSlabSums = Bytes{64} << 20;  // Of slabs that run at a time.

constexpr bool IsLongSum(int64_t terms, DType dtype) {
  return terms > kMostTerms && dtype != DType::kF64;
}
// Slabs that run at a time where `terms` are left of a result of `count` elements.
constexpr int64_t SlabsAtOnce(int64_t terms, int64_t count) {
  const int64_t most =
      std::clamp<int64_t>(kMostSlabSums / (count * Bytes{sizeof(float)}), 1, 16384);
  return std::clamp<int64_t>(terms / kSlabTerms, 1, most);
}

// Of long sums: the sums so far, the slabs' results, and behind them what is the library's.
struct ProductLayout {
  Bytes parts = 0;
  Bytes library = 0;
};
// Of y [m, n] with sums of `terms`.
inline ProductLayout LayOutProduct(int64_t m, int64_t n, int64_t terms, DType dtype) {
  ProductLayout layout;
  if (!IsLongSum(terms, dtype) || m * n == 0) return layout;
  Bytes parts = 0;
  for (const int64_t rows : {std::min(m, kMostProductRows), m % kMostProductRows}) {
    for (const int64_t columns : {std::min(n, kMostProductColumns), n % kMostProductColumns}) {
      const int64_t count = rows * columns;
      if (count == 0) continue;
      layout.parts = std::max(layout.parts, AlignUp(count * Bytes{sizeof(float)}, 256));
      parts = std::max(parts, SlabsAtOnce(terms, count) * count * Bytes{sizeof(float)});
    }
  }
  layout.library = layout.parts + AlignUp(parts, 256);
  return layout;
}

// Of cuBLASLt by the bytes of the operands, unless `options` says.
inline Bytes ProductLibraryBytes(Bytes operands, const WorkspaceOptions& options) {
  if (options.library_bytes > 0) return options.library_bytes;
  return std::clamp<Bytes>(AlignUp(2 * operands, 256), Bytes{1} << 20, Bytes{32} << 20);
}

}  // namespace wsi::cuda
