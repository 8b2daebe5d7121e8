// Products of matrices, cut into blocks of the result by shape.
#pragma once

#include <algorithm>
#include <memory>

#include "runtime/backends/cpu/compile.h"

namespace wsi::cpu {

// y[m,n] = alpha * op(a)[m,k] * op(b)[k,n] + beta * c, row-major; each block is computed
// over all of k by one thread.
struct Product {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1;
  float beta = 0;  // 0: there is no c.
  // Strides of c, which broadcasts to y: of m 0 or its row length, of n 0 or 1.
  int64_t c_strides[2] = {0, 0};
  int64_t block_m = 1;
  int64_t block_n = 1;

  int64_t blocks_n() const { return CeilDiv(n, block_n); }
  int64_t blocks() const { return CeilDiv(m, block_m) * blocks_n(); }
  // Elements between the rows of a and of b as they are stored.
  int64_t lda() const { return std::max<int64_t>(1, transpose_a ? m : k); }
  int64_t ldb() const { return std::max<int64_t>(1, transpose_b ? k : n); }
};

// Rows and columns of the result, of block number `block`.
struct Block {
  int64_t m0 = 0;
  int64_t n0 = 0;
  int64_t m = 0;
  int64_t n = 0;
  Block(const Product& p, int64_t block)
      : m0(block / p.blocks_n() * p.block_m),
        n0(block % p.blocks_n() * p.block_n),
        m(std::min(p.block_m, p.m - m0)),
        n(std::min(p.block_n, p.n - n0)) {}
};

// Where the operands of one product of a batch are; c is null without beta.
struct ProductOperands {
  const std::byte* a = nullptr;
  const std::byte* b = nullptr;
  const std::byte* c = nullptr;
  std::byte* y = nullptr;
};

// Computes blocks of products of one element type.
class BlockProduct {
 public:
  virtual ~BlockProduct() = default;
  // Thread safety: at once in all workers.
  virtual Status Run(const ProductOperands& operands, int64_t block, int worker) const = 0;
};
using BlockProductResult = Result<std::unique_ptr<BlockProduct>>;

// f16 and bf16 operands with results of the same type or fp32.
BlockProductResult MakeHalfProduct(const Product& product, DType operands, DType results,
                                   Context& context);
// f32, f64, i32 and i64, operands and results alike; null for other types.
std::unique_ptr<BlockProduct> MakePlainProduct(const Product& product, DType dtype);

}  // namespace wsi::cpu
