// Parts of products make up the whole.
#include <gtest/gtest.h>

#include <vector>

#include "runtime/backends/cuda/product_parts.h"

namespace wsi::cuda {
namespace {

double At(const Matrix& m, const std::vector<double>& values, int64_t offset, int64_t row,
          int64_t column) {
  if (m.transposed) std::swap(row, column);
  EXPECT_LT(row, m.rows);
  EXPECT_LT(column, m.columns);
  return values[static_cast<size_t>(offset + row * m.leading + column)];
}

// y += a b of the part.
void Multiply(const PartShape& p, const std::vector<double>& a, const std::vector<double>& b,
              std::vector<double>& y) {
  for (int64_t m = 0; m < p.shape.M(); ++m) {
    for (int64_t n = 0; n < p.shape.N(); ++n) {
      for (int64_t k = 0; k < p.shape.K(); ++k) {
        y[static_cast<size_t>(p.y + m * p.shape.y.leading + n)] +=
            At(p.shape.a, a, p.a, m, k) * At(p.shape.b, b, p.b, k, n);
      }
    }
  }
}

Matrix Stored(int64_t rows, int64_t columns, bool transposed) {
  if (transposed) std::swap(rows, columns);
  return {.rows = rows, .columns = columns, .transposed = transposed, .leading = columns};
}

std::vector<double> Numbers(int64_t count, int64_t step) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(static_cast<double>(i * step % 17 - 8));
  return numbers;
}

TEST(ProductParts, AddUpToTheWhole) {
  constexpr int64_t kM = 7, kN = 5, kK = 9;
  const auto a = Numbers(kM * kK, 5);
  const auto b = Numbers(kK * kN, 7);
  for (const bool left : {false, true}) {
    for (const bool right : {false, true}) {
      const ProductShape whole = {Stored(kM, kK, left), Stored(kK, kN, right),
                                  Stored(kM, kN, false)};
      std::vector<double> want(kM * kN);
      Multiply({.shape = whole}, a, b, want);
      std::vector<double> got(kM * kN);
      for (const auto& [row, rows] : {std::pair<int64_t, int64_t>{0, 4}, {4, 3}}) {
        for (const auto& [column, columns] : {std::pair<int64_t, int64_t>{0, 2}, {2, 3}}) {
          for (const auto& [term, terms] : {std::pair<int64_t, int64_t>{0, 4}, {4, 5}}) {
            Multiply(ShapeOf(whole, {row, rows, column, columns, term, terms}), a, b, got);
          }
        }
      }
      EXPECT_EQ(got, want);
    }
  }
}

TEST(ProductParts, CoverResultsOfAnySize) {
  constexpr int64_t kRows = (int64_t{1} << 22) + 5;
  constexpr int64_t kColumns = (int64_t{1} << 25) + 3;
  const ProductShape whole = {Stored(kRows, 3, false), Stored(3, kColumns, true),
                              Stored(kRows, kColumns, false)};
  int64_t row = 0;
  int64_t column = 0;
  for (const ProductPart& part : CutResult(whole)) {
    EXPECT_EQ(part.row, row);
    EXPECT_EQ(part.column, column);
    EXPECT_EQ(part.terms, 3);
    column += part.columns;
    if (column < kColumns) continue;
    EXPECT_EQ(column, kColumns);
    column = 0;
    row += part.rows;
  }
  EXPECT_EQ(row, kRows);
  int64_t copies = 0;
  for (const int64_t count : CutCopies(100000)) copies += count;
  EXPECT_EQ(copies, 100000);
}

}  // namespace
}  // namespace wsi::cuda
