// Pooling over all positions of an image, channels last.
#include <limits>

#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {
namespace {

// Checks that `pooled` is `full` with spatial sizes of 1.
ColumnShape ReadImage(LaunchCheck& check, const Shape& full, const Shape& pooled) {
  check.ChannelsLast(full, 3);
  bool fits = full.rank() == pooled.rank() && check.status().ok() && pooled[0] == full[0] &&
              pooled[-1] == full[-1];
  for (int a = 1; fits && a < full.rank() - 1; ++a) fits = pooled[a] == 1;
  check.Require(fits, "the pooled shape is not [N, 1..., C]");
  check.Require(full.ElementCount() > 0, "there is no position to pool over");
  if (!check.status().ok()) return {};
  return {.batch = full[0], .rows = full.ElementCount() / full[0] / full[-1], .columns = full[-1]};
}

template <typename T>
struct FinishMean {
  ColumnShape shape;
  T* y;
  __device__ void operator()(int64_t n, int64_t c, const double (&sums)[1]) const {
    Store(sums[0] / static_cast<double>(shape.rows), y[n * shape.columns + c]);
  }
};

template <typename T>
struct SpreadMap {
  using Element = T;
  static constexpr int kReads = 1;
  static constexpr int kPresent = 0;
  static constexpr int kFactors = 1;  // Of dx, all the same.
  const T* from[1];                   // Null: only dy is read.
  ColumnShape shape;
  const T* dy;
  T* dx;
  __device__ void Prepare(int64_t n, int64_t column, float (&factors)[kFactors]) const {
    factors[0] = Load(dy[n * shape.columns + column]) / static_cast<float>(shape.rows);
  }
  template <int W>
  __device__ void Apply(const Factors<W, SpreadMap>& d, const float (&)[kReads][W],
                        int64_t at) const {
    StorePack<T, W>(d[0], dx + at);
  }
};

// The largest of a part of a channel's positions, and where: the lowest on ties, NaN
// before all.
struct Best {
  float value;
  int64_t position;
  __device__ void Offer(float v, int64_t p) {
    const bool wins = position < 0 || v > value || (v != v && value == value) ||
                      ((v == value || (v != v && value != value)) && p < position);
    if (!wins) return;
    value = v;
    position = p;
  }
};

static_assert(sizeof(Best) == kMaximumBytes);

// Blocks of 32 channels and 8 rows, of part blockIdx.y of image blockIdx.z.
// best: [image][part][channel]
template <typename T>
__global__ void PartialMaxima(ColumnShape shape, int64_t parts, const T* x, Best* best) {
  __shared__ Best shared[8][32];
  const int64_t column = int64_t{blockIdx.x} * 32 + threadIdx.x;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    for (int64_t part = blockIdx.y; part < parts; part += gridDim.y) {
      Best own{0, -1};
      const int64_t end = min(shape.rows, (part + 1) * kMaximaPartRows);
      for (int64_t row = part * kMaximaPartRows + threadIdx.y; column < shape.columns && row < end;
           row += 8) {
        own.Offer(Load(x[shape.At(n, row, column)]), row);
      }
      __syncthreads();
      shared[threadIdx.y][threadIdx.x] = own;
      __syncthreads();
      if (threadIdx.y > 0 || column >= shape.columns) continue;
      for (int y = 1; y < 8; ++y) {
        const Best& other = shared[y][threadIdx.x];
        if (other.position >= 0) own.Offer(other.value, other.position);
      }
      best[(n * parts + part) * shape.columns + column] = own;
    }
  }
}

template <typename T>
__global__ void FinishMaxima(ColumnShape shape, int64_t parts, const Best* best, T* y,
                             int64_t* index) {
  const int64_t count = shape.batch * shape.columns;
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const int64_t n = i / shape.columns;
    Best own{0, -1};
    for (int64_t part = 0; part < parts; ++part) {
      const Best& other = best[(n * parts + part) * shape.columns + i % shape.columns];
      own.Offer(other.value, other.position);
    }
    Store(own.value, y[i]);
    if (index != nullptr) index[i] = own.position;
  }
}

template <typename T>
__global__ void PlaceGrad(ColumnShape shape, const T* dy, const int64_t* index, T* dx) {
  const int64_t count = shape.batch * shape.rows * shape.columns;
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    const int64_t row = i / shape.columns;
    const int64_t from = row / shape.rows * shape.columns + i % shape.columns;
    Store(index[from] == row % shape.rows ? Load(dy[from]) : 0.0F, dx[i]);
  }
}

}  // namespace

KernelResult CompileGlobalAveragePool(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const ColumnShape shape = ReadImage(check, check.input(0), check.output(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(shape, WidthOf<T>(shape), 1);
    if (Status s = RequireWorkspace(launch, sums.workspace_bytes()); !s.ok()) {
      return KernelResult(s);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) {
      WithWidth<T>(shape, [&](auto width) {
        sums.Run<width.value>(SumTerms<T>{{a.input<T>(0)}}, FinishMean<T>{shape, a.output<T>(0)},
                              WorkspaceAt<double>(a), context.stream);
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const ColumnShape shape = ReadImage(check, check.output(0), check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const SpreadMap<T> map{{nullptr}, shape, a.input<T>(0), a.output<T>(0)};
      WithWidth<T>(shape, [&](auto width) { MapColumns<width.value>(map, shape, context.stream); });
      return LaunchStatus();
    });
  });
}

KernelResult CompileGlobalMaxPool(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "Fl"));
  const ColumnShape shape = ReadImage(check, check.input(0), check.output(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, check.output(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t parts = MaximaParts(shape);
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, GlobalMaximaBytes(shape)));
  const dim3 grid(static_cast<unsigned>(CeilDiv(shape.columns, 32)),
                  static_cast<unsigned>(std::min<int64_t>(parts, 65535)),
                  static_cast<unsigned>(std::min<int64_t>(shape.batch, 65535)));
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      auto* best = WorkspaceAt<Best>(a);
      PartialMaxima<T><<<grid, dim3(32, 8), 0, context.stream>>>(shape, parts, a.input<T>(0), best);
      FinishMaxima<T><<<GridFor(shape.batch * shape.columns), kThreads, 0, context.stream>>>(
          shape, parts, best, a.output<T>(0), a.output<int64_t>(1));
      return LaunchStatus();
    });
  });
}

KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FL", "F"));
  const ColumnShape shape = ReadImage(check, check.output(0), check.input(0));
  check.InputIs(1, check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.output(0).ElementCount();
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      PlaceGrad<T><<<GridFor(count), kThreads, 0, context.stream>>>(
          shape, a.input<T>(0), a.input<int64_t>(1), a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
