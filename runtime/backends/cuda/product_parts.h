// How a launch's product is cut into those that cuBLASLt is given: none of more rows, columns
// or copies than it is known to take, and none whose sums run over so many terms that tensor
// cores, which truncate, lose digits.
//
//             K
//       +---+---+---+      +---+
//     M | 0 | 1 | 2 |      | 0 |     slabs of kSlabTerms terms: copies of one batched
//       +---+---+---+      +---+     product, whose results are added up in fp64
//             a            | 1 |
//                        K +---+ b
//                          | 2 |
//                          +---+
#pragma once

#include <vector>

#include "runtime/backends/cuda/product.h"
#include "runtime/workspace/cuda_product.h"

namespace wsi::cuda {

// What a launch multiplies: y [M, N] = a [M, K] b [K, N], in y.count copies.
struct ProductShape {
  Matrix a, b, y;
  int64_t M() const { return y.rows; }
  int64_t N() const { return y.columns; }
  int64_t K() const { return a.transposed ? a.rows : a.columns; }
};

// A part of each copy: rows and columns of its result, and terms of its sums.
struct ProductPart {
  int64_t row = 0, rows = 0;
  int64_t column = 0, columns = 0;
  int64_t term = 0, terms = 0;
};
// Of results, all with all terms.
std::vector<ProductPart> CutResult(const ProductShape& shape);

// A part's matrices, and where they begin in the first copy's, in elements.
struct PartShape {
  ProductShape shape;
  int64_t a = 0, b = 0, y = 0;
};
PartShape ShapeOf(const ProductShape& whole, const ProductPart& part);

// The numbers of copies that follow each other.
std::vector<int64_t> CutCopies(int64_t copies);

}  // namespace wsi::cuda
