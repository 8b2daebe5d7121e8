// Products of f16 and bf16 matrices: blocks of the result are summed in fp32 in a
// worker's scratch, and rounded once.
#include <dnnl.h>

#include <algorithm>

#include "runtime/backends/cpu/bfloat16_product.h"
#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/isa.h"
#include "runtime/backends/cpu/product.h"

namespace wsi::cpu {
namespace {

// Terms of a sum whose operands are converted to fp32 at a time.
constexpr int64_t kPanel = 1024;

class HalfProduct final : public BlockProduct {
 public:
  HalfProduct(const Product& product, DType operands, DType results, Context& context)
      : p_(product), operands_(operands), results_(results), context_(context) {}

  Status Prepare() {
    const int64_t tile = p_.block_m * p_.block_n;
    panels_ = AlignUp((tile + p_.block_n) * 4, 4096);
    Bytes rest = (p_.block_m + p_.block_n) * std::min(p_.k, kPanel) * 4;
    if (operands_ == DType::kBF16 && MultipliesBFloat16() && p_.k > 0) {
      which_.resize(static_cast<size_t>(p_.blocks()));
      for (int64_t i = 0; i < p_.blocks(); ++i) {
        WSI_ASSIGN_OR_RETURN(which_[static_cast<size_t>(i)],
                             FindOrMake(context_.dnnl, GeometryOf(Block(p_, i)), native_));
      }
      rest = 0;
      for (const BFloat16Product& product : native_) {
        rest = std::max(rest, product.scratchpad_bytes());
      }
    }
    return context_.scratch.Require(0, panels_ + rest);
  }

  Status Run(const ProductOperands& operands, int64_t number, int worker) const override {
    const Block block(p_, number);
    float* tile = context_.scratch.worker<float>(worker);
    if (native_.empty()) {
      WSI_RETURN_IF_ERROR(RunConverted(operands, block, tile, worker));
    } else {
      const std::byte* a = operands.a + (p_.transpose_a ? block.m0 : block.m0 * p_.k) * 2;
      const std::byte* b = operands.b + (p_.transpose_b ? block.n0 * p_.k : block.n0) * 2;
      WSI_RETURN_IF_ERROR(native_[which_[static_cast<size_t>(number)]].Run(
          context_.dnnl, worker, a, b, tile, context_.scratch.worker<std::byte>(worker) + panels_));
    }
    StoreTile(operands, block, tile);
    return {};
  }

 private:
  ProductGeometry GeometryOf(const Block& block) const {
    ProductGeometry g{.m = block.m, .n = block.n, .k = p_.k, .y_stride = block.n};
    g.a_strides[p_.transpose_a ? 0 : 1] = 1;
    g.a_strides[p_.transpose_a ? 1 : 0] = p_.lda();
    g.b_strides[p_.transpose_b ? 0 : 1] = 1;
    g.b_strides[p_.transpose_b ? 1 : 0] = p_.ldb();
    return g;
  }

  // Rows of `count` elements, `stride` apart, side by side in fp32.
  void WidenPanel(const std::byte* from, int64_t rows, int64_t stride, int64_t count,
                  float* to) const {
    for (int64_t r = 0; r < rows; ++r)
      Widen(operands_, from + r * stride * 2, count, to + r * count);
  }

  Status RunConverted(const ProductOperands& operands, const Block& block, float* tile,
                      int worker) const {
    std::fill_n(tile, block.m * block.n, 0.0F);
    float* a = reinterpret_cast<float*>(context_.scratch.worker<std::byte>(worker) + panels_);
    float* b = a + p_.block_m * std::min(p_.k, kPanel);
    for (int64_t k0 = 0; k0 < p_.k; k0 += kPanel) {
      const int64_t k = std::min(kPanel, p_.k - k0);
      if (p_.transpose_a) {
        WidenPanel(operands.a + (k0 * p_.m + block.m0) * 2, k, p_.m, block.m, a);
      } else {
        WidenPanel(operands.a + (block.m0 * p_.k + k0) * 2, block.m, p_.k, k, a);
      }
      if (p_.transpose_b) {
        WidenPanel(operands.b + (block.n0 * p_.k + k0) * 2, block.n, p_.k, k, b);
      } else {
        WidenPanel(operands.b + (k0 * p_.n + block.n0) * 2, k, p_.n, block.n, b);
      }
      UseOneThread();
      const dnnl_status_t status = dnnl_sgemm(
          p_.transpose_a ? 'T' : 'N', p_.transpose_b ? 'T' : 'N', block.m, block.n, k, 1.0F, a,
          p_.transpose_a ? block.m : k, b, p_.transpose_b ? k : block.n, 1.0F, tile, block.n);
      if (status != dnnl_success) return InternalError("oneDNN sgemm failed");
    }
    return {};
  }

  // y = alpha * tile + beta * c.
  void StoreTile(const ProductOperands& operands, const Block& block, float* tile) const {
    float* addend = tile + block.m * block.n;
    const bool by_column = p_.c_strides[1] != 0;
    for (int64_t i = 0; i < block.m; ++i) {
      float* row = tile + i * block.n;
      for (int64_t j = 0; j < block.n; ++j) row[j] *= p_.alpha;
      if (operands.c != nullptr) {
        const int64_t at = (block.m0 + i) * p_.c_strides[0] + block.n0 * p_.c_strides[1];
        Widen(operands_, operands.c + at * 2, by_column ? block.n : 1, addend);
        for (int64_t j = 0; j < block.n; ++j) row[j] += p_.beta * addend[by_column ? j : 0];
      }
      const int64_t to = (block.m0 + i) * p_.n + block.n0;
      if (results_ == DType::kF32) {
        std::copy_n(row, block.n, reinterpret_cast<float*>(operands.y) + to);
      } else {
        Narrow(row, block.n, results_, operands.y + to * 2);
      }
    }
  }

  Product p_;
  DType operands_;
  DType results_;
  Context& context_;
  std::vector<BFloat16Product> native_;  // Empty: the operands are converted.
  std::vector<size_t> which_;            // Of each block.
  Bytes panels_ = 0;                     // In a worker's scratch, behind tile and addend.
};

}  // namespace

BlockProductResult MakeHalfProduct(const Product& product, DType operands, DType results,
                                   Context& context) {
  auto made = std::make_unique<HalfProduct>(product, operands, results, context);
  WSI_RETURN_IF_ERROR(made->Prepare());
  return std::unique_ptr<BlockProduct>(std::move(made));
}

}  // namespace wsi::cpu
