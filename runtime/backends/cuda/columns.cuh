// Kernels over [batch, rows, columns], columns next to each other in memory: sums over
// the rows of each column, and maps with coefficients of each column. Channels-last
// images are such, channels being the columns.
//
// Sums are made in steps of fixed order: a thread adds at most kMostRows rows in fp32, a
// warp its threads of a column, a block its warps in fp64, a second kernel the blocks.
//
// What is computed is a functor F over the packs of W columns of a row:
//   F::Element, F::kReads, from[kReads]  elements at the same place of kReads tensors, 0 where
//                                        a pointer is null, are read for several rows ahead
//   F::State<W>, Prepare<W>(n, column)   what holds for all rows of a column
#pragma once

#include "runtime/backends/cuda/device.cuh"

namespace wsi::cuda {

struct ColumnShape {
  int64_t batch = 1;
  int64_t rows = 1;
  int64_t columns = 1;
  __host__ __device__ int64_t At(int64_t n, int64_t row, int64_t column) const {
    return (n * rows + row) * columns + column;
  }
};

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
  return IsWide<T>(shape.columns) ? kWide<T> : 1;
}

// Threads of a block: x over packs of columns, y over rows; blocks: x over columns, y
// over chunks of rows, z over the batch.
struct ColumnGrid {
  ColumnShape shape;
  dim3 block;
  dim3 grid;
  int64_t chunk_rows = 1;
};
inline constexpr int64_t kMostRows = 512;
inline constexpr int64_t kLeastRows = 8;
inline constexpr int64_t kColumnBlocks = 1024;  // Wanted of sums: as many as run at a time.

// `width`: columns of a pack.
inline ColumnGrid GridOf(const ColumnShape& shape, int width) {
  const int64_t packs = CeilDiv(shape.columns, width);
  unsigned x = 1;
  while (x < 32 && x < packs) x *= 2;
  const unsigned y = kThreads / x;
  const int64_t chunks = std::max<int64_t>(1, kColumnBlocks / (CeilDiv(packs, x) * shape.batch));
  const int64_t wanted = CeilDiv(shape.rows, int64_t{y} * chunks);
  const int64_t rows = int64_t{y} * std::clamp(wanted, kLeastRows, kMostRows);
  ColumnGrid g;
  g.shape = shape;
  g.block = dim3(x, y);
  g.chunk_rows = rows;
  g.grid = dim3(static_cast<unsigned>(CeilDiv(packs, x)),
                static_cast<unsigned>(std::clamp<int64_t>(CeilDiv(shape.rows, rows), 1, 65535)),
                static_cast<unsigned>(std::clamp<int64_t>(shape.batch, 1, 65535)));
  return g;
}

// A row's packs.
template <int W, typename F>
struct ColumnPacks {
  using Element = typename F::Element;
  Pack<Element, W> packs[F::kReads];
  __device__ void Fetch(const F& f, int64_t at) {
#pragma unroll
    for (int r = 0; r < F::kReads; ++r) {
      if (f.from[r] != nullptr) {
        packs[r] = *reinterpret_cast<const Pack<Element, W>*>(f.from[r] + at);
      }
    }
  }
  __device__ void Widen(const F& f, float (&v)[F::kReads][W]) const {
#pragma unroll
    for (int r = 0; r < F::kReads; ++r) {
#pragma unroll
      for (int i = 0; i < W; ++i) v[r][i] = f.from[r] != nullptr ? Load(packs[r].v[i]) : 0.0F;
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
  for (int64_t first = begin; first < end; first += kAhead * step) {
    ColumnPacks<W, F> ahead[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      const int64_t row = first + k * step;
      if (row < end) ahead[k].Fetch(f, shape.At(n, row, column));
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      const int64_t row = first + k * step;
      if (row >= end) break;
      float v[F::kReads][W];
      ahead[k].Widen(f, v);
      use(v, row, shape.At(n, row, column));
    }
  }
}

// The sum over the threads of a warp that have the same threadIdx.x; blockDim.x is a power
// of two, at most 32.
__device__ inline float SumOverRows(float v) {
  for (unsigned step = blockDim.x; step < 32; step *= 2) {
    v += __shfl_xor_sync(~0U, v, static_cast<int>(step));
  }
  return v;
}

// f has Add<W>(state, v, row, at, float (&sums)[kTerms][W]), v as ForRows has them.
// partial: [batch][chunk][kTerms][columns].
template <int W, typename F>
__global__ void PartialColumnSums(F f, ColumnShape shape, int64_t chunk_rows, int64_t chunks,
                                  double* partial) {
  constexpr int kTerms = F::kTerms;
  constexpr int kWarps = kThreads / 32;
  __shared__ float shared[kTerms * W][kThreads];
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * W;
  const bool inside = column < shape.columns;
  const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    for (int64_t chunk = blockIdx.y; chunk < chunks; chunk += gridDim.y) {
      float sums[kTerms][W] = {};
      if (inside) {
        const auto state = f.template Prepare<W>(n, column);
        const int64_t end = min(shape.rows, (chunk + 1) * chunk_rows);
        ForRows<W>(f, shape, n, column, chunk * chunk_rows + threadIdx.y, end, blockDim.y,
                   [&](const float(&v)[F::kReads][W], int64_t row, int64_t at) {
                     f.template Add<W>(state, v, row, at, sums);
                   });
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kTerms; ++k) {
#pragma unroll
        for (int i = 0; i < W; ++i) shared[k * W + i][lane] = SumOverRows(sums[k][i]);
      }
      __syncthreads();
      // One thread a sum: term and column of the block.
      for (unsigned s = lane; s < kTerms * W * blockDim.x; s += kThreads) {
        const unsigned x = s / W % blockDim.x;
        const unsigned k = s / W / blockDim.x;
        const int64_t at = (int64_t{blockIdx.x} * blockDim.x + x) * W + s % W;
        if (at >= shape.columns) continue;
        double total = 0;
        for (unsigned warp = 0; warp < kWarps; ++warp) {
          total += static_cast<double>(shared[k * W + s % W][warp * 32 + x]);
        }
        partial[((n * chunks + chunk) * kTerms + k) * shape.columns + at] = total;
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
  ColumnSums(const ColumnShape& shape, int width, int terms)
      : grid_(GridOf(shape, width)),
        chunks_(CeilDiv(shape.rows, grid_.chunk_rows)),
        bytes_(shape.batch * chunks_ * terms * shape.columns * int64_t{sizeof(double)}) {}

  const ColumnShape& shape() const { return grid_.shape; }
  Bytes scratch_bytes() const { return bytes_; }

  // `scratch`: where scratch_bytes() are free.
  template <int W, typename F, typename Finish>
  void Run(const F& f, const Finish& finish, double* scratch, cudaStream_t stream) const {
    const ColumnShape& s = grid_.shape;
    if (s.batch * s.columns == 0) return;
    if (chunks_ > 0) {
      PartialColumnSums<W>
          <<<grid_.grid, grid_.block, 0, stream>>>(f, s, grid_.chunk_rows, chunks_, scratch);
    }
    const dim3 grid(static_cast<unsigned>(CeilDiv(s.columns, 32)),
                    static_cast<unsigned>(std::min<int64_t>(s.batch, 65535)));
    FinishColumnSums<F::kTerms>
        <<<grid, dim3(32, kFinishParts), 0, stream>>>(scratch, s, chunks_, finish);
  }

 private:
  ColumnGrid grid_;
  int64_t chunks_;
  Bytes bytes_;
};

// The sums of the columns themselves.
template <typename T>
struct SumTerms {
  using Element = T;
  static constexpr int kTerms = 1;
  static constexpr int kReads = 1;
  const T* from[1];  // x
  template <int W>
  struct State {};
  template <int W>
  __device__ State<W> Prepare(int64_t, int64_t) const {
    return {};
  }
  template <int W>
  __device__ void Add(const State<W>&, const float (&v)[kReads][W], int64_t, int64_t,
                      float (&sums)[1][W]) const {
#pragma unroll
    for (int i = 0; i < W; ++i) sums[0][i] += v[0][i];
  }
};

// f has Apply<W>(state, v, at), v as ForRows has them.
template <int W, typename F>
__global__ void MapColumnsKernel(F f, ColumnShape shape, int64_t chunk_rows) {
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * W;
  if (column >= shape.columns) return;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    const auto state = f.template Prepare<W>(n, column);
    for (int64_t first = blockIdx.y * chunk_rows; first < shape.rows;
         first += gridDim.y * chunk_rows) {
      const int64_t end = min(shape.rows, first + chunk_rows);
      ForRows<W>(f, shape, n, column, first + threadIdx.y, end, blockDim.y,
                 [&](const float(&v)[F::kReads][W], int64_t, int64_t at) {
                   f.template Apply<W>(state, v, at);
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
