// Products by oneDNN's sgemm, and by plain loops where it has none: f64 and integers.
#include <dnnl.h>

#include <type_traits>

#include "runtime/backends/cpu/onednn.h"
#include "runtime/backends/cpu/product.h"

namespace wsi::cpu {
namespace {

// y = beta * c over a block, or 0.
template <typename T>
void StartBlock(const Product& p, const Block& block, const T* c, T* y) {
  for (int64_t i = block.m0; i < block.m0 + block.m; ++i) {
    for (int64_t j = block.n0; j < block.n0 + block.n; ++j) {
      T& to = y[i * p.n + j];
      to = c == nullptr ? T{0} : T(p.beta) * c[i * p.c_strides[0] + j * p.c_strides[1]];
    }
  }
}

class SingleProduct final : public BlockProduct {
 public:
  explicit SingleProduct(const Product& product) : p_(product) {}
  Status Run(const ProductOperands& operands, int64_t number, int) const override {
    const Block block(p_, number);
    const float* a = reinterpret_cast<const float*>(operands.a);
    const float* b = reinterpret_cast<const float*>(operands.b);
    const float* c = reinterpret_cast<const float*>(operands.c);
    float* y = reinterpret_cast<float*>(operands.y);
    if (c != nullptr) StartBlock(p_, block, c, y);
    UseOneThread();
    const dnnl_status_t status =
        dnnl_sgemm(p_.transpose_a ? 'T' : 'N', p_.transpose_b ? 'T' : 'N', block.m, block.n, p_.k,
                   p_.alpha, a + (p_.transpose_a ? block.m0 : block.m0 * p_.k), p_.lda(),
                   b + (p_.transpose_b ? block.n0 * p_.k : block.n0), p_.ldb(),
                   c == nullptr ? 0.0F : 1.0F, y + block.m0 * p_.n + block.n0, p_.n);
    if (status == dnnl_success) return {};
    return InternalError("oneDNN sgemm failed");
  }

 private:
  Product p_;
};

// Integers wrap, as numpy's do.
template <typename T>
class LoopProduct final : public BlockProduct {
 public:
  explicit LoopProduct(const Product& product) : p_(product) {}
  Status Run(const ProductOperands& operands, int64_t number, int) const override {
    const Block block(p_, number);
    const T* a = reinterpret_cast<const T*>(operands.a);
    const T* b = reinterpret_cast<const T*>(operands.b);
    T* y = reinterpret_cast<T*>(operands.y);
    StartBlock(p_, block, reinterpret_cast<const T*>(operands.c), y);
    for (int64_t i = block.m0; i < block.m0 + block.m; ++i) {
      for (int64_t t = 0; t < p_.k; ++t) {
        const T left = T(p_.alpha) * a[p_.transpose_a ? t * p_.m + i : i * p_.k + t];
        const T* right = b + (p_.transpose_b ? t : t * p_.n);
        const int64_t stride = p_.transpose_b ? p_.k : 1;
        for (int64_t j = block.n0; j < block.n0 + block.n; ++j) {
          y[i * p_.n + j] += left * right[j * stride];
        }
      }
    }
    return {};
  }

 private:
  Product p_;
};

}  // namespace

std::unique_ptr<BlockProduct> MakePlainProduct(const Product& product, DType dtype) {
  switch (dtype) {
    case DType::kF32: return std::make_unique<SingleProduct>(product);
    case DType::kF64: return std::make_unique<LoopProduct<double>>(product);
    // Unsigned, so that overflow is defined.
    case DType::kI32: return std::make_unique<LoopProduct<uint32_t>>(product);
    case DType::kI64: return std::make_unique<LoopProduct<uint64_t>>(product);
    default: return nullptr;
  }
}

}  // namespace wsi::cpu
