// Positions of extremes along one axis. Many short lines get a thread each; others are cut
// into chunks of which a block each finds the first in order, and a second kernel the first
// of these.
#include "runtime/backends/cuda/columns.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"
#include "runtime/backends/cuda/ordering.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

template <typename T>
__global__ void ExtremeOfLine(Rows rows, Order order, const T* x, int64_t* y) {
  const int64_t stride = rows.inner_count;
  for (int64_t r = FirstItem(); r < rows.outer_count * stride; r += ItemStride()) {
    const T* line = x + StartOf(rows, r);
    Candidate<Computed<T>> best;
    for (int64_t j = 0; j < rows.length; ++j) {
      const Candidate<Computed<T>> c = {Load(line[j * stride]), j};
      if (order.IsBefore(c, best)) best = c;
    }
    y[r] = best.at;
  }
}

// partial: [batch][chunk][column], or null where there is one chunk, whose result is y.
template <typename T>
__global__ void PartialExtremes(ColumnShape shape, int64_t chunk_rows, int64_t chunks, Order order,
                                const T* x, Candidate<Computed<T>>* partial, int64_t* y) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const bool inside = column < shape.columns;
  for (int64_t n = blockIdx.z; n < shape.batch; n += gridDim.z) {
    for (int64_t chunk = blockIdx.y; chunk < chunks; chunk += gridDim.y) {
      Candidate<Computed<T>> best;
      const int64_t end = min(shape.rows, (chunk + 1) * chunk_rows);
      for (int64_t row = chunk * chunk_rows + threadIdx.y; inside && row < end; row += blockDim.y) {
        const Candidate<Computed<T>> c = {Load(x[shape.At(n, row, column)]), row};
        if (order.IsBefore(c, best)) best = c;
      }
      best = FirstOfColumn(best, order);
      if (!inside || threadIdx.y > 0) continue;
      if (partial == nullptr) {
        y[n * shape.columns + column] = best.at;
      } else {
        partial[(n * chunks + chunk) * shape.columns + column] = best;
      }
    }
  }
}

// A block a line.
template <typename C>
__global__ void FinishExtremes(const Candidate<C>* partial, ColumnShape shape, int64_t chunks,
                               Order order, int64_t* y) {
  for (int64_t line = blockIdx.x; line < shape.batch * shape.columns; line += gridDim.x) {
    const int64_t first = line / shape.columns * chunks * shape.columns + line % shape.columns;
    Candidate<C> best;
    for (int64_t chunk = threadIdx.y; chunk < chunks; chunk += blockDim.y) {
      const Candidate<C> c = partial[first + chunk * shape.columns];
      if (order.IsBefore(c, best)) best = c;
    }
    best = FirstOfColumn(best, order);
    if (threadIdx.y == 0) y[line] = best.at;
  }
}

template <typename T>
KernelResult CompileChunks(const LaunchSpec& launch, const Rows& rows, const Order& order,
                           Context& context) {
  using Best = Candidate<Computed<T>>;
  const ColumnShape shape = ColumnsOf(rows);
  const ColumnGrid g = GridOf(shape, 1);
  const int64_t chunks = CeilDiv(shape.rows, g.chunk_rows);
  const int64_t lines = shape.batch * shape.columns;
  static_assert(sizeof(Best) == kCandidateBytes);
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, ExtremesBytes(rows)));
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    if (lines == 0) return {};
    auto* partial = chunks > 1 ? WorkspaceAt<Best>(a) : nullptr;
    PartialExtremes<T><<<g.grid, g.block, 0, context.stream>>>(
        shape, g.chunk_rows, chunks, order, a.input<T>(0), partial, a.output<int64_t>(0));
    if (chunks > 1) {
      FinishExtremes<<<GridFor(lines, 1), dim3(1, 128), 0, context.stream>>>(
          partial, shape, chunks, order, a.output<int64_t>(0));
    }
    return LaunchStatus();
  });
}

}  // namespace

KernelResult CompileArgExtreme(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "L"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool last = check.Flag("select_last_index");
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const int64_t lines = rows.outer_count * rows.inner_count;
  check.Require(rows.length > 0 && check.output(0).ElementCount() == lines,
                "gives one position for each line along the axis");
  WSI_RETURN_IF_ERROR(check.status());
  const Order order = {.largest = launch.op == "ArgMax", .last = last};
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    if (CutsExtremes(rows)) {
      return CompileChunks<T>(launch, rows, order, context);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ExtremeOfLine<T><<<GridFor(lines), kThreads, 0, context.stream>>>(rows, order, a.input<T>(0),
                                                                        a.output<int64_t>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
