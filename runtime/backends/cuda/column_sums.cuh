// Sums over the rows of each column of [batch, rows, columns].
//
// They are made in steps of fixed order: a thread adds at most kMostRows rows in fp32, a
// warp its threads of a column, a block its warps in fp64, a second kernel the chunks.
#pragma once

#include "runtime/backends/cuda/columns.cuh"
#include "runtime/backends/cuda/launch_behind.cuh"

namespace wsi::cuda {

// The sum over the threads of a warp that have the same threadIdx.x; blockDim.x is a power
// of two, at most 32.
__device__ inline float SumOverRows(float v) {
  for (unsigned step = blockDim.x; step < 32; step *= 2) {
    v += __shfl_xor_sync(~0U, v, static_cast<int>(step));
  }
  return v;
}

// f has Add<W>(factors, v, row, at, float (&sums)[kTerms][W]), v as ForRows has them.
// partial: [batch][sweep][chunk][kTerms][columns].
template <int W, typename F>
__global__ void __launch_bounds__(kThreads, kSumBlocksEach)
    PartialColumnSums(F f, ColumnShape shape, RowSweeps cut, double* partial) {
  constexpr int kTerms = F::kTerms;
  constexpr int kWarps = kThreads / 32;
  LetNextBegin();
  __shared__ float shared[kTerms * W][kThreads];
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * W;
  const bool inside = column < shape.columns;
  const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    Factors<W, F> factors;
    PrepareColumns<W>(f, shape, n, factors);
    for (int64_t sweep = 0; sweep < cut.sweeps; ++sweep) {
      float sums[kTerms][W] = {};
      if (inside) {
        const int64_t first = sweep * cut.slabs_each * cut.chunks + blockIdx.y;
        const int64_t behind = min(cut.slabs, (sweep + 1) * cut.slabs_each * cut.chunks);
        for (int64_t slab = first; slab < behind; slab += cut.chunks) {
          const int64_t begin = (cut.slabs - 1 - slab) * cut.slab_rows;
          const int64_t end = min(shape.rows, begin + cut.slab_rows);
          ForRows<W>(f, shape, n, column, begin + threadIdx.y, end, blockDim.y,
                     [&](const float(&v)[F::kReads][W], int64_t row, int64_t at) {
                       f.template Add<W>(factors, v, row, at, sums);
                     });
        }
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kTerms; ++k) {
#pragma unroll
        for (int i = 0; i < W; ++i) shared[k * W + i][lane] = SumOverRows(sums[k][i]);
      }
      __syncthreads();
      // One thread a sum: term and column of the block.
      const int64_t chunk = (n * cut.sweeps + sweep) * cut.chunks + blockIdx.y;
      for (unsigned s = lane; s < kTerms * W * blockDim.x; s += kThreads) {
        const unsigned x = s / W % blockDim.x;
        const unsigned k = s / W / blockDim.x;
        const int64_t at = (int64_t{blockIdx.x} * blockDim.x + x) * W + s % W;
        if (at >= shape.columns) continue;
        double total = 0;
        for (unsigned warp = 0; warp < kWarps; ++warp) {
          total += static_cast<double>(shared[k * W + s % W][warp * 32 + x]);
        }
        partial[(chunk * kTerms + k) * shape.columns + at] = total;
      }
    }
  }
}

// finish(n, column, const double (&sums)[kTerms]). Block of 32 columns and kFinishParts parts:
// few blocks have much to read one after the other.
inline constexpr int kFinishParts = 32;
template <int kTerms, typename Finish>
__global__ void FinishColumnSums(const double* partial, ColumnShape shape, int64_t chunks,
                                 Finish finish) {
  WaitForLaunchBefore();
  __shared__ double shared[kTerms][kFinishParts][32];
  const int64_t column = int64_t{blockIdx.x} * 32 + threadIdx.x;
  for (int64_t n = blockIdx.y; n < shape.batch; n += gridDim.y) {
    double sums[kTerms] = {};
    if (column < shape.columns) {
#pragma unroll 8
      for (int64_t chunk = threadIdx.y; chunk < chunks; chunk += kFinishParts) {
#pragma unroll
        for (int k = 0; k < kTerms; ++k) {
          sums[k] += partial[((n * chunks + chunk) * kTerms + k) * shape.columns + column];
        }
      }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kTerms; ++k) shared[k][threadIdx.y][threadIdx.x] = sums[k];
    __syncthreads();
    if (threadIdx.y == 0 && column < shape.columns) {
      double totals[kTerms] = {};
#pragma unroll
      for (int k = 0; k < kTerms; ++k) {
#pragma unroll 8
        for (int part = 0; part < kFinishParts; ++part) totals[k] += shared[k][part][threadIdx.x];
      }
      finish(n, column, totals);
    }
  }
}

// How sums of `terms` terms are made of elements of `width` a pack.
class ColumnSums {
 public:
  ColumnSums(const ColumnShape& shape, int width, int terms) : shape_(shape) {
    const ColumnGrid g = GridOf(shape, width);
    block_ = g.block;
    cut_ = SweepsOf(shape, width);
    grid_ = dim3(g.grid.x, static_cast<unsigned>(cut_.chunks), g.grid.z);
    bytes_ = ColumnSumsBytes(shape, width, terms);
  }

  const ColumnShape& shape() const { return shape_; }
  Bytes workspace_bytes() const { return bytes_; }

  // `workspace`: where workspace_bytes() are free.
  template <int W, typename F, typename Finish>
  void Run(const F& f, const Finish& finish, double* workspace, cudaStream_t stream) const {
    if (shape_.batch * shape_.columns == 0) return;
    if (cut_.sweeps > 0) {
      PartialColumnSums<W><<<grid_, block_, 0, stream>>>(f, shape_, cut_, workspace);
    }
    const dim3 grid(static_cast<unsigned>(CeilDiv(shape_.columns, 32)),
                    static_cast<unsigned>(std::min<int64_t>(shape_.batch, 65535)));
    LaunchBehind(FinishColumnSums<F::kTerms, Finish>, grid, dim3(32, kFinishParts), stream,
                 workspace, shape_, cut_.all_chunks(), finish);
  }

 private:
  ColumnShape shape_;
  RowSweeps cut_;
  dim3 block_;
  dim3 grid_;
  Bytes bytes_;
};

// The sums of the columns themselves.
template <typename T>
struct SumTerms {
  using Element = T;
  static constexpr int kTerms = 1;
  static constexpr int kReads = 1;
  static constexpr int kPresent = 1;
  static constexpr int kFactors = 0;
  const T* from[1];  // x
  template <int W>
  __device__ void Add(const Factors<W, SumTerms>&, const float (&v)[kReads][W], int64_t, int64_t,
                      float (&sums)[1][W]) const {
#pragma unroll
    for (int i = 0; i < W; ++i) sums[0][i] += v[0][i];
  }
};

}  // namespace wsi::cuda
