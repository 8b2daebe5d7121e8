#include "runtime/backends/cpu/linear.h"

#include <dnnl.h>

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/broadcast.h"
#include "runtime/backends/cpu/onednn.h"
#include "runtime/backends/cpu/strided_copy.h"

namespace wsi::cpu {
namespace {

// y[m,n] = alpha * op(a)[m,k] * op(b)[k,n] (+ y), row-major, cut into blocks of the
// result by shape; each block is one single-threaded product over all of k.
struct Product {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1;
  int64_t block_m = 1;
  int64_t block_n = 1;

  int64_t blocks_n() const { return CeilDiv(n, block_n); }
  int64_t blocks() const { return CeilDiv(m, block_m) * blocks_n(); }
};

Product MakeProduct(const Shape& a, const Shape& b, bool transpose_a, bool transpose_b) {
  Product p{.m = transpose_a ? a[-1] : a[-2],
            .n = transpose_b ? b[-2] : b[-1],
            .k = transpose_a ? a[-2] : a[-1],
            .transpose_a = transpose_a,
            .transpose_b = transpose_b};
  p.block_m = std::clamp<int64_t>(p.m, 1, 256);
  // Few rows: narrow blocks, so that a matrix-vector product has many; at least a
  // page of the matrix each.
  p.block_n = std::clamp<int64_t>(p.n, 1, p.m >= 64 ? 256 : 64);
  while (CeilDiv(p.m, p.block_m) * CeilDiv(p.n, p.block_n) > ThreadPool::kMaxChunks / 64) {
    p.block_m *= 2;
    p.block_n *= 2;
  }
  return p;
}

Status RunBlock(const Product& p, int64_t block, const float* a, const float* b, float beta,
                float* y) {
  const int64_t m0 = block / p.blocks_n() * p.block_m;
  const int64_t n0 = block % p.blocks_n() * p.block_n;
  const int64_t m = std::min(p.block_m, p.m - m0);
  const int64_t n = std::min(p.block_n, p.n - n0);
  const int64_t lda = std::max<int64_t>(1, p.transpose_a ? p.m : p.k);
  const int64_t ldb = std::max<int64_t>(1, p.transpose_b ? p.k : p.n);
  UseOneThread();
  const dnnl_status_t status =
      dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', m, n, p.k, p.alpha,
                 a + (p.transpose_a ? m0 : m0 * p.k), lda, b + (p.transpose_b ? n0 * p.k : n0), ldb,
                 beta, y + m0 * p.n + n0, p.n);
  if (status == dnnl_success) return {};
  return InternalError("oneDNN sgemm failed");
}

}  // namespace

// y = alpha * op(a) op(b) + beta * c; c broadcasts to y.
KernelResult CompileGemm(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 1));
  const Shape& a_shape = launch.inputs[0].shape;
  const Shape& b_shape = launch.inputs[1].shape;
  for (size_t i = 0; i < 3; ++i) WSI_RETURN_IF_ERROR(ExpectInput(launch, i, DType::kF32));
  if (a_shape.rank() != 2 || b_shape.rank() != 2) return CompileError(launch, "wants matrices");
  Product p = MakeProduct(a_shape, b_shape, launch.attributes.Int("transA", 0) != 0,
                          launch.attributes.Int("transB", 0) != 0);
  p.alpha = static_cast<float>(launch.attributes.Float("alpha", 1.0));
  const float beta = static_cast<float>(launch.attributes.Float("beta", 1.0));
  if (p.k != (p.transpose_b ? b_shape[1] : b_shape[0])) {
    return CompileError(launch, "inner sizes differ");
  }
  const Shape y_shape = {p.m, p.n};
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, y_shape));
  const bool has_c = HasInput(launch, 2) && beta != 0.0F;
  const Shape c_shapes[] = {has_c ? launch.inputs[2].shape : Shape{}};
  WSI_ASSIGN_OR_RETURN(const Broadcast c_runs, Broadcast::Make(launch, c_shapes, y_shape));
  return MakeKernel([=, &context](const LaunchArguments& arguments) -> Status {
    float* y = arguments.output<float>(0);
    if (has_c) {
      const float* c = arguments.input<float>(2);
      c_runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
        const int64_t stride = c_runs.inner_stride(0);
        for (int64_t i = 0; i < n; ++i) y[out + i] = beta * c[at[0] + i * stride];
      });
    }
    std::atomic<bool> failed = false;
    context.pool.ParallelFor(p.blocks(), [&](int64_t block, int) {
      const Status status = RunBlock(p, block, arguments.input<float>(0), arguments.input<float>(1),
                                     has_c ? 1.0F : 0.0F, y);
      if (!status.ok()) failed = true;
    });
    return failed ? InternalError("oneDNN sgemm failed") : Status();
  });
}

// Matrices in the last two axes; the others broadcast. transA and transB as in Gemm.
KernelResult CompileMatMul(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32));
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
  return MakeKernel([=, &context](const LaunchArguments& arguments) -> Status {
    std::atomic<bool> failed = false;
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t entry = i / p.blocks();
        const Pair& at = offsets[static_cast<size_t>(entry)];
        const Status status = RunBlock(p, i % p.blocks(), arguments.input<float>(0) + at.a,
                                       arguments.input<float>(1) + at.b, 0.0F,
                                       arguments.output<float>(0) + entry * p.m * p.n);
        if (!status.ok()) failed = true;
      }
    });
    return failed ? InternalError("oneDNN sgemm failed") : Status();
  });
}

}  // namespace wsi::cpu
