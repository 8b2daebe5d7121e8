// Running sums along one axis: fp64, rounded when stored; integers wrap.
//
// Short lines next to each other get a thread each. Others are cut into tiles of kRows rows
// a thread: one kernel sums the tiles, a second adds those before each, a third goes over
// the tiles again with what is before them. The order depends on shapes alone.
#include "runtime/backends/cuda/columns.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

constexpr int kRows = kScanRows;

template <typename T>
using SumOf = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                 std::type_identity<double>>::type;

struct Direction {
  bool exclusive = false;
  bool reverse = false;
};

template <typename T>
__global__ void SumsOfLine(Rows rows, Direction d, const T* x, T* y) {
  using Sum = SumOf<T>;
  const int64_t stride = rows.inner_count;
  for (int64_t r = FirstItem(); r < rows.outer_count * stride; r += ItemStride()) {
    const int64_t start = StartOf(rows, r);
    Sum sum{0};
    for (int64_t j = 0; j < rows.length; ++j) {
      const int64_t at = start + (d.reverse ? rows.length - 1 - j : j) * stride;
      const Sum before = sum;
      sum = static_cast<Sum>(sum + static_cast<Sum>(Load(x[at])));
      Store(d.exclusive ? before : sum, y[at]);
    }
  }
}

// What the threads of smaller threadIdx.y and the same threadIdx.x have, and all have.
template <typename S>
struct Prefix {
  S before;
  S all;
};
// REQUIRES: all threads of the block call it.
template <typename S>
__device__ Prefix<S> ScanColumn(S value) {
  __shared__ S sums[kThreads];
  const unsigned lane = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // Of an earlier call, all have read.
  sums[lane] = value;
  for (unsigned step = 1; step < blockDim.y; step *= 2) {
    __syncthreads();
    const S add = threadIdx.y >= step ? sums[lane - step * blockDim.x] : S{0};
    __syncthreads();
    sums[lane] = static_cast<S>(sums[lane] + add);
  }
  __syncthreads();
  return {threadIdx.y > 0 ? sums[lane - blockDim.x] : S{0},
          sums[(blockDim.y - 1) * blockDim.x + threadIdx.x]};
}

// kRows rows of a tile.
template <typename T>
struct Run {
  SumOf<T> terms[kRows];
  SumOf<T> sum;
};

// Row `first` of the order in which is summed, and those behind it.
template <typename T>
__device__ Run<T> LoadRun(const ColumnShape& shape, const Direction& d, int64_t n, int64_t first,
                          int64_t column, const T* x) {
  using Sum = SumOf<T>;
  Run<T> run;
  run.sum = Sum{0};
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int64_t row = d.reverse ? shape.rows - 1 - first - i : first + i;
    const bool inside = column < shape.columns && first + i < shape.rows;
    run.terms[i] = inside ? static_cast<Sum>(Load(x[shape.At(n, row, column)])) : Sum{0};
    run.sum = static_cast<Sum>(run.sum + run.terms[i]);
  }
  return run;
}

// totals: [batch][tile][column]
template <typename T>
__global__ void TileTotals(ColumnShape shape, Direction d, int64_t tiles, const T* x,
                           SumOf<T>* totals) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    for (int64_t tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
      const int64_t first = (tile * blockDim.y + threadIdx.y) * kRows;
      const auto prefix = ScanColumn(LoadRun(shape, d, n, first, column, x).sum);
      if (threadIdx.y > 0 || column >= shape.columns) continue;
      totals[(n * tiles + tile) * shape.columns + column] = prefix.all;
    }
  }
}

// Each total becomes the sum of those before it.
template <typename S>
__global__ void ScanTotals(ColumnShape shape, int64_t tiles, S* totals) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    S carry{0};
    for (int64_t first = 0; first < tiles; first += blockDim.y) {
      const int64_t tile = first + threadIdx.y;
      const bool inside = column < shape.columns && tile < tiles;
      S* total = totals + (n * tiles + tile) * shape.columns + column;
      const Prefix<S> prefix = ScanColumn(inside ? *total : S{0});
      if (inside) *total = static_cast<S>(carry + prefix.before);
      carry = static_cast<S>(carry + prefix.all);
    }
  }
}

// totals: null where there is one tile.
template <typename T>
__global__ void TileSums(ColumnShape shape, Direction d, int64_t tiles, const T* x,
                         const SumOf<T>* totals, T* y) {
  using Sum = SumOf<T>;
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    for (int64_t tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
      const int64_t first = (tile * blockDim.y + threadIdx.y) * kRows;
      const Run<T> run = LoadRun(shape, d, n, first, column, x);
      Sum sum = ScanColumn(run.sum).before;
      if (column >= shape.columns) continue;
      if (totals != nullptr) {
        sum = static_cast<Sum>(totals[(n * tiles + tile) * shape.columns + column] + sum);
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (first + i >= shape.rows) continue;
        const int64_t row = d.reverse ? shape.rows - 1 - first - i : first + i;
        const Sum before = sum;
        sum = static_cast<Sum>(sum + run.terms[i]);
        Store(d.exclusive ? before : sum, y[shape.At(n, row, column)]);
      }
    }
  }
}

template <typename T>
KernelResult CompileTiles(const LaunchSpec& launch, const Rows& rows, const Direction& d,
                          Context& context) {
  using Sum = SumOf<T>;
  const ColumnShape shape = ColumnsOf(rows);
  ColumnGrid g = GridOf(shape, 1);
  const int64_t tiles = ScanTiles(rows);
  g.grid.y = static_cast<unsigned>(std::clamp<int64_t>(tiles, 1, 65535));
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, ScanBytes(rows, launch.inputs[0].dtype)));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    if (shape.batch * shape.rows * shape.columns == 0) return {};
    auto* totals = tiles > 1 ? WorkspaceAt<Sum>(a) : nullptr;
    if (tiles > 1) {
      TileTotals<T><<<g.grid, g.block, 0, context.stream>>>(shape, d, tiles, a.input<T>(0), totals);
      const dim3 grid(g.grid.x, 1, g.grid.z);
      ScanTotals<<<grid, g.block, 0, context.stream>>>(shape, tiles, totals);
    }
    TileSums<T><<<g.grid, g.block, 0, context.stream>>>(shape, d, tiles, a.input<T>(0), totals,
                                                        a.output<T>(0));
    return LaunchStatus();
  });
}

}  // namespace

KernelResult CompileCumSum(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const Direction d = {.exclusive = check.Flag("exclusive"), .reverse = check.Flag("reverse")};
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const int64_t lines = rows.outer_count * rows.inner_count;
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    if (CutsScan(rows)) return CompileTiles<T>(launch, rows, d, context);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      SumsOfLine<T>
          <<<GridFor(lines), kThreads, 0, context.stream>>>(rows, d, a.input<T>(0), a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
