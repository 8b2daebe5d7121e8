// Kernels over [batch, rows, columns], columns next to each other in memory: maps with
// coefficients of each column, and what their sums (column_sums.cuh) are made with.
// Channels-last images are such, channels being the columns.
//
// What is computed is a functor F over the packs of W columns of a row:
//   F::Element, F::kReads, from[kReads]  elements at the same place of kReads tensors, 0 where
//                                        a pointer is null, are read for several rows ahead
//   F::kPresent                          so many of them, the first ones, are never null
//   F::kFactors, Prepare(n, column, float (&factors)[kFactors])
//                                        what holds for all rows of a column
#pragma once

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

// run(std::integral_constant<int, W>) for the widest pack that the channels allow.
template <typename T, typename F>
void WithWidth(const ColumnShape& shape, const F& run) {
  if (IsWide<T>(shape.columns)) {
    run(std::integral_constant<int, kWide<T>>());
  } else {
    run(std::integral_constant<int, 1>());
  }
}
template <typename T>
int WidthOf(const ColumnShape& shape) {
  return PackWidth(sizeof(T), shape.columns);
}

// As CutColumns cuts them; blocks: x over columns, y over chunks of rows, z over the batch.
struct ColumnGrid {
  ColumnShape shape;
  dim3 block;
  dim3 grid;
  int64_t chunk_rows = 1;
};

// `width`: columns of a pack.
inline ColumnGrid GridOf(const ColumnShape& shape, int width) {
  const ColumnCut cut = CutColumns(shape, width);
  ColumnGrid g;
  g.shape = shape;
  g.block = dim3(cut.x, cut.y);
  g.chunk_rows = cut.chunk_rows;
  g.grid = dim3(static_cast<unsigned>(cut.pack_blocks),
                static_cast<unsigned>(std::clamp<int64_t>(cut.chunks, 1, 65535)),
                static_cast<unsigned>(std::clamp<int64_t>(shape.batch, 1, 65535)));
  return g;
}

// A row's packs.
template <int W, typename F>
struct ColumnPacks {
  using Element = typename F::Element;
  Pack<Element, W> packs[F::kReads];
  __device__ static bool IsThere(const F& f, int r) {
    return r < F::kPresent || f.from[r] != nullptr;
  }
  __device__ void Fetch(const F& f, int64_t at) {
#pragma unroll
    for (int r = 0; r < F::kReads; ++r) {
      if (IsThere(f, r)) packs[r] = *reinterpret_cast<const Pack<Element, W>*>(f.from[r] + at);
    }
  }
  __device__ void Widen(const F& f, float (&v)[F::kReads][W]) const {
#pragma unroll
    for (int r = 0; r < F::kReads; ++r) {
#pragma unroll
      for (int i = 0; i < W; ++i) v[r][i] = IsThere(f, r) ? Load(packs[r].v[i]) : 0.0F;
    }
  }
};
// Rows that a thread reads before it computes.
template <typename F>
constexpr int kRowsAhead = F::kReads >= 3   ? 2
                           : F::kReads == 2 ? 4
                                            : 8;

// use(v, row, at) for rows begin, begin + step, ... below `end`, in order; v: float[kReads][W].
template <int W, typename F, typename Use>
__device__ void ForRows(const F& f, const ColumnShape& shape, int64_t n, int64_t column,
                        int64_t begin, int64_t end, int64_t step, const Use& use) {
  constexpr int kAhead = kRowsAhead<F>;
  const int64_t stride = step * shape.columns;
  int64_t at = shape.At(n, begin, column);
  const auto rows = [&](int64_t first, auto all_inside) {
    ColumnPacks<W, F> ahead[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (all_inside || first + k * step < end) ahead[k].Fetch(f, at + k * stride);
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (!all_inside && first + k * step >= end) break;
      float v[F::kReads][W];
      ahead[k].Widen(f, v);
      use(v, first + k * step, at + k * stride);
    }
    at += kAhead * stride;
  };
  int64_t first = begin;
  for (; first + (kAhead - 1) * step < end; first += kAhead * step) rows(first, std::true_type{});
  if (first < end) rows(first, std::false_type{});
}

// The factors of a thread's columns.
template <int W, typename F>
using Factors = float[F::kFactors > 0 ? F::kFactors : 1][W];

// A thread prepares one column and takes those of its pack from its neighbours: one after the
// other would take longer than many rows.
// REQUIRES: all threads of the block call it; blockDim.x is at most 32.
template <int W, typename F>
__device__ void PrepareColumns(const F& f, const ColumnShape& shape, int64_t n,
                               Factors<W, F>& factors) {
  if constexpr (F::kFactors > 0) {
    alignas(sizeof(float) * W) __shared__ float shared[F::kFactors][32 * W];
    const int64_t first = int64_t{blockIdx.x} * blockDim.x * W;
    __syncthreads();  // Of an earlier call, all have read.
    for (unsigned c = threadIdx.y * blockDim.x + threadIdx.x; c < blockDim.x * W; c += kThreads) {
      if (first + c >= shape.columns) break;
      float own[F::kFactors];
      f.Prepare(n, first + c, own);
#pragma unroll
      for (int k = 0; k < F::kFactors; ++k) shared[k][c] = own[k];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < F::kFactors; ++k) {
      LoadPack<float, W>(&shared[k][threadIdx.x * W], factors[k]);
    }
  }
}

// f has Apply<W>(factors, v, at), v as ForRows has them.
template <int W, typename F>
__global__ void __launch_bounds__(kThreads, 2)
    MapColumnsKernel(F f, ColumnShape shape, int64_t chunk_rows) {
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * W;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    Factors<W, F> factors;
    PrepareColumns<W>(f, shape, n, factors);
    if (column >= shape.columns) continue;
    for (int64_t first = blockIdx.y * chunk_rows; first < shape.rows;
         first += gridDim.y * chunk_rows) {
      const int64_t end = min(shape.rows, first + chunk_rows);
      ForRows<W>(f, shape, n, column, first + threadIdx.y, end, blockDim.y,
                 [&](const float(&v)[F::kReads][W], int64_t, int64_t at) {
                   f.template Apply<W>(factors, v, at);
                 });
    }
  }
}

template <int W, typename F>
void MapColumns(const F& f, const ColumnShape& shape, cudaStream_t stream) {
  if (shape.batch * shape.rows * shape.columns == 0) return;
  ColumnGrid g = GridOf(shape, W);
  g.chunk_rows = std::min<int64_t>(g.chunk_rows, int64_t{g.block.y} * 16);
  g.grid.y = static_cast<unsigned>(std::min<int64_t>(CeilDiv(shape.rows, g.chunk_rows), 65535));
  MapColumnsKernel<W><<<g.grid, g.block, 0, stream>>>(f, shape, g.chunk_rows);
}

}  // namespace wsi::cuda
