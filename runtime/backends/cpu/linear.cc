#include "runtime/backends/cpu/linear.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/product.h"
#include "runtime/backends/cpu/strided_copy.h"

namespace wsi::cpu {
namespace {

// Each block copies its rows of a and its columns of b once, so blocks are as large as
// kWideBlock; a product has at least a block for every kBlockFlops of work, four where
// that leaves them kNarrowBlock wide. Few rows: narrow blocks, so that a matrix-vector
// product has many, of at least a page of the matrix each.
void CutIntoBlocks(Product& p) {
  constexpr int64_t kWideBlock = 1024;
  constexpr int64_t kNarrowBlock = 128;
  constexpr int64_t kVectorBlock = 64;
  constexpr double kBlockFlops = 64e6;
  const double flops =
      2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  const auto wanted = static_cast<int64_t>(std::clamp(flops / kBlockFlops, 4.0, 256.0));
  int64_t rows = std::max<int64_t>(1, CeilDiv(p.m, kWideBlock));
  int64_t columns = std::max<int64_t>(1, CeilDiv(p.n, p.m >= 64 ? kWideBlock : kVectorBlock));
  const auto can_cut = [](int64_t size, int64_t pieces) {
    return size / (pieces + 1) >= kNarrowBlock;
  };
  while (rows * columns < wanted && (can_cut(p.m, rows) || can_cut(p.n, columns))) {
    const bool by_rows =
        can_cut(p.m, rows) && (p.m / rows >= p.n / columns || !can_cut(p.n, columns));
    ++(by_rows ? rows : columns);
  }
  p.block_m = std::max<int64_t>(1, CeilDiv(p.m, rows));
  p.block_n = std::max<int64_t>(1, CeilDiv(p.n, columns));
  while (p.blocks() > ThreadPool::kMaxChunks / 64) {
    p.block_m *= 2;
    p.block_n *= 2;
  }
}

Product MakeProduct(const Shape& a, const Shape& b, bool transpose_a, bool transpose_b) {
  Product p{.m = transpose_a ? a[-1] : a[-2],
            .n = transpose_b ? b[-2] : b[-1],
            .k = transpose_a ? a[-2] : a[-1],
            .transpose_a = transpose_a,
            .transpose_b = transpose_b};
  CutIntoBlocks(p);
  return p;
}

// Attributes alpha and beta are whole numbers where the type is an integer.
BlockProductResult MakeBlockProduct(const LaunchSpec& launch, const Product& p, Context& context) {
  const DType operands = launch.inputs[0].dtype;
  const DType results = launch.outputs[0].dtype;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, operands));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, operands));
  if (IsHalf(operands) && results == DType::kF32) {
    return MakeHalfProduct(p, operands, results, context);
  }
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, operands));
  if (IsHalf(operands)) return MakeHalfProduct(p, operands, results, context);
  if (!IsFloat(operands) && (p.alpha != std::floor(p.alpha) || p.beta != std::floor(p.beta))) {
    return CompileError(launch, "alpha and beta are no integers");
  }
  std::unique_ptr<BlockProduct> product = MakePlainProduct(p, operands);
  if (product != nullptr) return product;
  return CompileError(launch, "has no kernel for " + std::string(DTypeName(operands)));
}

// Sets the strides of c, which broadcasts to y.
Status SetAddend(const LaunchSpec& launch, Product& p) {
  const Shape& c = launch.inputs[2].shape;
  const Shape y = {p.m, p.n};
  if (c.rank() > 2) return CompileError(launch, c.ToString() + " does not broadcast to a matrix");
  for (int back = 1; back <= c.rank(); ++back) {
    if (c[-back] != 1 && c[-back] != y[-back]) {
      return CompileError(launch, c.ToString() + " does not broadcast to " + y.ToString());
    }
  }
  if (c.rank() >= 1 && c[-1] != 1) p.c_strides[1] = 1;
  if (c.rank() == 2 && c[0] != 1) p.c_strides[0] = c[1];
  return {};
}

}  // namespace

// y = alpha * op(a) op(b) + beta * c; c broadcasts to y.
KernelResult CompileGemm(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 1));
  const Shape& a_shape = launch.inputs[0].shape;
  const Shape& b_shape = launch.inputs[1].shape;
  if (a_shape.rank() != 2 || b_shape.rank() != 2) return CompileError(launch, "wants matrices");
  Product p = MakeProduct(a_shape, b_shape, launch.attributes.Int("transA", 0) != 0,
                          launch.attributes.Int("transB", 0) != 0);
  p.alpha = static_cast<float>(launch.attributes.Float("alpha", 1.0));
  if (p.k != (p.transpose_b ? b_shape[1] : b_shape[0])) {
    return CompileError(launch, "inner sizes differ");
  }
  if (launch.outputs[0].shape != Shape{p.m, p.n}) {
    return CompileError(launch, "output does not fit the product");
  }
  if (HasInput(launch, 2)) {
    p.beta = static_cast<float>(launch.attributes.Float("beta", 1.0));
    WSI_RETURN_IF_ERROR(SetAddend(launch, p));
  }
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<BlockProduct> product, MakeBlockProduct(launch, p, context));
  return MakeKernel(
      [p, product = std::move(product), &context](const LaunchArguments& a) -> Status {
        const ProductOperands operands = {.a = a.inputs[0],
                                          .b = a.inputs[1],
                                          .c = p.beta != 0.0F ? a.inputs[2] : nullptr,
                                          .y = a.outputs[0]};
        std::atomic<bool> failed = false;
        context.pool.ParallelFor(p.blocks(), [&](int64_t block, int worker) {
          if (!product->Run(operands, block, worker).ok()) failed = true;
        });
        return failed ? InternalError("oneDNN could not multiply matrices") : Status();
      });
}

// Matrices in the last two axes; the others broadcast. transA and transB as in Gemm.
KernelResult CompileMatMul(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const bool transpose_a = launch.attributes.Int("transA", 0) != 0;
  const bool transpose_b = launch.attributes.Int("transB", 0) != 0;
  // Vectors become matrices of one row or column, which the result does not show.
  const auto matrix = [](const Shape& shape, bool row) {
    if (shape.rank() >= 2) return shape;
    const int64_t size = shape.ElementCount();
    return row ? Shape{1, size} : Shape{size, 1};
  };
  const Shape a_shape = matrix(launch.inputs[0].shape, !transpose_a);
  const Shape b_shape = matrix(launch.inputs[1].shape, transpose_b);
  const Product p = MakeProduct(a_shape, b_shape, transpose_a, transpose_b);
  if (p.k != (transpose_b ? b_shape[-1] : b_shape[-2])) {
    return CompileError(launch, "inner sizes differ");
  }
  const auto batch_of = [](const Shape& shape) {
    return Shape::Make(shape.sizes().first(static_cast<size_t>(shape.rank() - 2)));
  };
  WSI_ASSIGN_OR_RETURN(const Shape a_batch, batch_of(a_shape));
  WSI_ASSIGN_OR_RETURN(const Shape b_batch, batch_of(b_shape));
  WSI_ASSIGN_OR_RETURN(const Shape batch, BroadcastShapes(a_batch, b_batch));
  const int64_t batches = batch.ElementCount();
  if (launch.outputs[0].shape.ElementCount() != batches * p.m * p.n) {
    return CompileError(launch, "output does not fit the product");
  }
  // Offset of each batch entry's matrices.
  struct Pair {
    int64_t a = 0;
    int64_t b = 0;
  };
  std::vector<Pair> offsets(static_cast<size_t>(batches));
  const auto fill = [&](const Shape& operand, int64_t matrix_size, int64_t Pair::*member) {
    const auto strides = RowMajorStrides(operand);
    for (int64_t i = 0; i < batches; ++i) {
      int64_t rest = i;
      int64_t offset = 0;
      for (int back = 1; back <= batch.rank(); ++back) {
        const int64_t index = rest % batch[-back];
        rest /= batch[-back];
        if (back <= operand.rank() && operand[-back] != 1) {
          offset += index * strides[strides.size() - static_cast<size_t>(back)];
        }
      }
      offsets[static_cast<size_t>(i)].*member = offset * matrix_size;
    }
  };
  fill(a_batch, p.m * p.k, &Pair::a);
  fill(b_batch, p.k * p.n, &Pair::b);
  const Chunks chunks = ChunksOf(batches * p.blocks(), p.block_m * p.block_n * p.k, kGrain);
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<BlockProduct> product, MakeBlockProduct(launch, p, context));
  const Bytes size = DTypeBytes(launch.inputs[0].dtype);
  const Bytes result_size = DTypeBytes(launch.outputs[0].dtype);
  return MakeKernel(
      [=, product = std::move(product), &context](const LaunchArguments& arguments) -> Status {
        std::atomic<bool> failed = false;
        ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t entry = i / p.blocks();
            const Pair& at = offsets[static_cast<size_t>(entry)];
            const ProductOperands operands = {
                .a = arguments.inputs[0] + at.a * size,
                .b = arguments.inputs[1] + at.b * size,
                .c = nullptr,
                .y = arguments.outputs[0] + entry * p.m * p.n * result_size};
            if (!product->Run(operands, i % p.blocks(), worker).ok()) failed = true;
          }
        });
        return failed ? InternalError("oneDNN could not multiply matrices") : Status();
      });
}

}  // namespace wsi::cpu
