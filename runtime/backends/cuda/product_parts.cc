#include "runtime/backends/cuda/product_parts.h"

#include <algorithm>

namespace wsi::cuda {
namespace {

constexpr int64_t kMostCopies = 32768;

// Rows and columns of a stored matrix from `first` on, counted as the product sees them.
void Cut(Matrix& m, int64_t first_row, int64_t rows, int64_t first_column, int64_t columns,
         int64_t* offset) {
  if (m.transposed) {
    std::swap(first_row, first_column);
    std::swap(rows, columns);
  }
  *offset = first_row * m.leading + first_column;
  m.rows = rows;
  m.columns = columns;
}

}  // namespace

std::vector<ProductPart> CutResult(const ProductShape& shape) {
  std::vector<ProductPart> parts;
  for (int64_t row = 0; row < shape.M(); row += kMostProductRows) {
    for (int64_t column = 0; column < shape.N(); column += kMostProductColumns) {
      parts.push_back({.row = row,
                       .rows = std::min(kMostProductRows, shape.M() - row),
                       .column = column,
                       .columns = std::min(kMostProductColumns, shape.N() - column),
                       .term = 0,
                       .terms = shape.K()});
    }
  }
  return parts;
}

PartShape ShapeOf(const ProductShape& whole, const ProductPart& part) {
  PartShape p{.shape = whole};
  Cut(p.shape.a, part.row, part.rows, part.term, part.terms, &p.a);
  Cut(p.shape.b, part.term, part.terms, part.column, part.columns, &p.b);
  Cut(p.shape.y, part.row, part.rows, part.column, part.columns, &p.y);
  return p;
}

std::vector<int64_t> CutCopies(int64_t copies) {
  std::vector<int64_t> counts;
  for (int64_t first = 0; first < copies; first += kMostCopies) {
    counts.push_back(std::min(kMostCopies, copies - first));
  }
  return counts;
}

}  // namespace wsi::cuda
