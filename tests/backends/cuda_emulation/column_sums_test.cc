// How sums over columns cut the rows, with cuts that are small enough to be tried.
#include "runtime/backends/cuda/column_sums.cuh"

#include <gtest/gtest.h>

#include <vector>

namespace wsi::cuda {
namespace {

// The columns' sums of small whole numbers, which have no rounding.
void ExpectSums(const ColumnShape& shape, dim3 block, const RowSweeps& cut) {
  SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << cut.slabs << " slabs, "
                                  << cut.chunks << " chunks, " << cut.sweeps << " sweeps");
  std::vector<float> x;
  std::vector<double> wanted(static_cast<size_t>(shape.batch * shape.columns));
  for (int64_t n = 0; n < shape.batch; ++n) {
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (int64_t column = 0; column < shape.columns; ++column) {
        const int64_t value = (row * 7 + column * 3 + n) % 16;
        x.push_back(static_cast<float>(value));
        wanted[static_cast<size_t>(n * shape.columns + column)] += static_cast<double>(value);
      }
    }
  }
  std::vector<double> partial(static_cast<size_t>(shape.batch * cut.all_chunks() * shape.columns),
                              -1);
  const SumTerms<float> terms{{x.data()}};
  const dim3 grid(1, static_cast<unsigned>(cut.chunks), static_cast<unsigned>(shape.batch));
  emulation::Launch(grid, block, nullptr,
                    [&] { PartialColumnSums<4>(terms, shape, cut, partial.data()); });
  for (int64_t n = 0; n < shape.batch; ++n) {
    for (int64_t column = 0; column < shape.columns; ++column) {
      double sum = 0;
      for (int64_t chunk = 0; chunk < cut.all_chunks(); ++chunk) {
        sum +=
            partial[static_cast<size_t>((n * cut.all_chunks() + chunk) * shape.columns + column)];
      }
      EXPECT_EQ(sum, wanted[static_cast<size_t>(n * shape.columns + column)]) << n << ' ' << column;
    }
  }
}

TEST(ColumnSums, EveryRowIsInOneSlabOfOneSweep) {
  const dim3 block(2, kThreads / 2);
  for (const int64_t rows : {1, 127, 128, 129, 383, 384, 385, 768, 769, 2000}) {
    for (const int64_t chunks : {1, 3}) {
      RowSweeps cut;
      cut.slab_rows = 128;
      cut.slabs = CeilDiv(rows, cut.slab_rows);
      cut.chunks = std::min(chunks, cut.slabs);
      cut.slabs_each = 2;
      cut.sweeps = CeilDiv(cut.slabs, cut.chunks * cut.slabs_each);
      ExpectSums({.batch = 2, .rows = rows, .columns = 8}, block, cut);
    }
  }
}

// Whatever the size: no thread adds more than it may, and no more blocks run than are wanted.
TEST(ColumnSums, AThreadAddsNoMoreThanItMay) {
  for (const int64_t rows :
       {int64_t{1}, int64_t{64}, int64_t{16384}, int64_t{1} << 20, (int64_t{1} << 32) + 1}) {
    for (const unsigned y : {8U, 32U, 256U}) {
      for (const int64_t column_blocks : {int64_t{1}, int64_t{8}, int64_t{1000}}) {
        const RowSweeps cut = SweepsOf(rows, y, column_blocks);
        SCOPED_TRACE(testing::Message() << rows << " rows, " << y << ", " << column_blocks);
        EXPECT_LE(cut.slabs_each * cut.slab_rows, kMostRows * y);
        EXPECT_GE(cut.slabs * cut.slab_rows, rows);
        EXPECT_LT((cut.slabs - 1) * cut.slab_rows, rows);
        EXPECT_GE(cut.all_chunks() * cut.slabs_each, cut.slabs);
        EXPECT_LE(cut.chunks * column_blocks, std::max(kSumBlocks, column_blocks));
      }
    }
  }
}

}  // namespace
}  // namespace wsi::cuda
