// Weighted sums of positions along one axis, and what is the gradient of these and of
// Gather: sums of the slices that came from one position.
#include <string>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

// Taps of [positions, taps]: tap i is of position i / taps of the part, and of position
// indices[i] of the whole.
struct Table {
  Rows rows;  // Of the whole.
  int64_t positions = 0;
  int64_t taps = 1;
  bool wide = true;    // Indices are i64, else i32.
  bool wraps = false;  // Negative ones count from the back.
  int place = 0;       // Of the fault that one is outside.
  __host__ __device__ int64_t count() const { return positions * taps; }
};

// `whole`: of the tensor that the indices are positions of; `part`: of the other.
Result<Table> ReadTable(const LaunchSpec& launch, LaunchCheck& check, const Shape& whole,
                        const Shape& part, Context& context) {
  Table table;
  const int axis = check.Axis("axis", whole.rank());
  const Shape& indices = check.input(1);
  const bool gathers = launch.op == "GatherGrad";
  check.Require(indices.rank() == (gathers ? 1 : 2), "the table has another rank");
  check.InputIs(2, indices);
  const DType dtype = check.input_type(1);
  check.Require(dtype == DType::kI64 || (gathers && dtype == DType::kI32),
                "indices are of another type");
  WSI_RETURN_IF_ERROR(check.status());
  bool fits = part.rank() == whole.rank();
  for (int a = 0; fits && a < whole.rank(); ++a) {
    fits = part[a] == (a == axis ? indices[0] : whole[a]);
  }
  check.Require(fits, "the table does not lead from one tensor to the other");
  table.rows = RowsAlong(whole, axis);
  table.positions = indices[0];
  table.taps = gathers ? 1 : indices[1];
  table.wide = dtype == DType::kI64;
  table.wraps = gathers;
  check.Require(table.count() < INT32_MAX && table.rows.length < INT32_MAX,
                "the table has 2^31 entries or more");
  WSI_RETURN_IF_ERROR(check.status());
  table.place = context.faults.Register(FaultText(
      launch, "index {} is outside an axis of size " + std::to_string(table.rows.length)));
  return table;
}

// The position of tap i; -1 behind a fault.
__device__ int64_t PositionOf(const Table& table, const std::byte* indices, int64_t i,
                              FaultRecord* faults) {
  int64_t index = table.wide ? reinterpret_cast<const int64_t*>(indices)[i]
                             : reinterpret_cast<const int32_t*>(indices)[i];
  if (table.wraps && index < 0) index += table.rows.length;
  if (index >= 0 && index < table.rows.length) return index;
  Raise(faults, table.place, index);
  return -1;
}

template <typename T, typename W>
__global__ void ResampleKernel(Table table, const T* x, const std::byte* indices, const W* weights,
                               FaultRecord* faults, T* y) {
  const int64_t inner = table.rows.inner_count;
  const int64_t total = table.rows.outer_count * table.positions * inner;
  for (int64_t i = FirstItem(); i < total; i += ItemStride()) {
    const int64_t line = i / inner;
    const int64_t outer = line / table.positions;
    const int64_t m = line % table.positions;
    Computed<W> sum = 0;
    for (int64_t t = m * table.taps; t < (m + 1) * table.taps; ++t) {
      const int64_t at = PositionOf(table, indices, t, faults);
      if (at < 0) continue;
      sum += weights[t] * Load(x[(outer * table.rows.length + at) * inner + i % inner]);
    }
    Store(sum, y[i]);
  }
}

// Taps by their position, in the workspace: starts[p] to below starts[p + 1] of `order`.
struct Buckets {
  int* starts;
  int* cursors;
  int* order;
};

__global__ void CountTaps(Table table, const std::byte* indices, FaultRecord* faults, Buckets b) {
  for (int64_t i = FirstItem(); i < table.count(); i += ItemStride()) {
    const int64_t at = PositionOf(table, indices, i, faults);
    if (at >= 0) atomicAdd(&b.cursors[at], 1);
  }
}

// One block: starts from the counts in `cursors`, which become 0.
__global__ void StartBuckets(int64_t size, Buckets b) {
  __shared__ int sums[kThreads];
  const int64_t each = (size + kThreads - 1) / kThreads;
  const int64_t begin = min(size, threadIdx.x * each);
  const int64_t end = min(size, begin + each);
  int sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += b.cursors[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  int before = 0;
  for (unsigned t = 0; t < threadIdx.x; ++t) before += sums[t];
  for (int64_t i = begin; i < end; ++i) {
    b.starts[i] = before;
    before += b.cursors[i];
    b.cursors[i] = 0;
  }
  if (end == size) b.starts[size] = before;
}

__global__ void FillBuckets(Table table, const std::byte* indices, FaultRecord* faults, Buckets b) {
  for (int64_t i = FirstItem(); i < table.count(); i += ItemStride()) {
    const int64_t at = PositionOf(table, indices, i, faults);
    if (at < 0) continue;
    b.order[b.starts[at] + atomicAdd(&b.cursors[at], 1)] = static_cast<int>(i);
  }
}

__device__ void SiftDown(int* heap, int root, int end) {
  const int value = heap[root];
  for (int child = 2 * root + 1; child < end; child = 2 * root + 1) {
    if (child + 1 < end && heap[child + 1] > heap[child]) ++child;
    if (heap[child] <= value) break;
    heap[root] = heap[child];
    root = child;
  }
  heap[root] = value;
}

// Sorts each bucket, since taps came in any order: sums are then the same in every run.
__global__ void SortBuckets(int64_t size, Buckets b) {
  for (int64_t i = FirstItem(); i < size; i += ItemStride()) {
    int* taps = b.order + b.starts[i];
    const int count = b.starts[i + 1] - b.starts[i];
    for (int root = count / 2 - 1; root >= 0; --root) SiftDown(taps, root, count);
    for (int end = count - 1; end > 0; --end) {
      const int largest = taps[0];
      taps[0] = taps[end];
      taps[end] = largest;
      SiftDown(taps, 0, end);
    }
  }
}

// `weights`: null where all are 1.
template <typename T, typename W>
__global__ void SpreadKernel(Table table, const T* dy, const W* weights, Buckets b, T* dx) {
  const int64_t inner = table.rows.inner_count;
  const int64_t total = table.rows.outer_count * table.rows.length * inner;
  for (int64_t i = FirstItem(); i < total; i += ItemStride()) {
    const int64_t line = i / inner;
    const int64_t outer = line / table.rows.length;
    const int64_t at = line % table.rows.length;
    double sum = 0;
    for (int k = b.starts[at]; k < b.starts[at + 1]; ++k) {
      const int64_t tap = b.order[k];
      const int64_t from = (outer * table.positions + tap / table.taps) * inner + i % inner;
      const auto d = static_cast<double>(Load(dy[from]));
      sum += weights != nullptr ? d * static_cast<double>(weights[tap]) : d;
    }
    Store(sum, dx[i]);
  }
}

// Weights are fp32, beside fp64 fp64.
template <typename T>
using WeightOf = std::conditional_t<std::is_same_v<T, double>, double, float>;
DType WeightType(DType dtype) { return dtype == DType::kF64 ? dtype : DType::kF32; }

}  // namespace

KernelResult CompileResample(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLF", "F"));
  const DType dtype = check.input_type(0);
  WSI_ASSIGN_OR_RETURN(const Table table,
                       ReadTable(launch, check, check.input(0), check.output(0), context));
  check.InputIs(2, WeightType(dtype));
  check.OutputIs(0, dtype);
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.output(0).ElementCount();
  return ForFloat(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      using W = WeightOf<T>;
      ResampleKernel<T, W><<<GridFor(count), kThreads, 0, context.stream>>>(
          table, a.input<T>(0), a.inputs[1], a.input<W>(2), context.faults.device_record(),
          a.output<T>(0));
      return LaunchStatus();
    });
  });
}

KernelResult CompileSpread(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  const bool gathers = launch.op == "GatherGrad";
  WSI_RETURN_IF_ERROR(gathers ? check.Operands("F*", "F") : check.Operands("FLF", "F"));
  const DType dtype = check.input_type(0);
  WSI_ASSIGN_OR_RETURN(const Table table,
                       ReadTable(launch, check, check.output(0), check.input(0), context));
  check.InputIs(2, WeightType(dtype));
  check.OutputIs(0, dtype);
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t size = table.rows.length;
  const BucketLayout layout = LayOutBuckets(size, table.count());
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout.end));
  const int64_t count = check.output(0).ElementCount();
  return ForFloat(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
      using W = WeightOf<T>;
      const Buckets b = {WorkspaceAt<int>(a), WorkspaceAt<int>(a, layout.cursors),
                         WorkspaceAt<int>(a, layout.order)};
      FaultRecord* faults = context.faults.device_record();
      WSI_RETURN_IF_CUDA_ERROR(
          cudaMemsetAsync(b.cursors, 0, static_cast<size_t>(size) * sizeof(int), context.stream));
      CountTaps<<<GridFor(table.count()), kThreads, 0, context.stream>>>(table, a.inputs[1], faults,
                                                                         b);
      StartBuckets<<<1, kThreads, 0, context.stream>>>(size, b);
      FillBuckets<<<GridFor(table.count()), kThreads, 0, context.stream>>>(table, a.inputs[1],
                                                                           faults, b);
      SortBuckets<<<GridFor(size), kThreads, 0, context.stream>>>(size, b);
      SpreadKernel<T, W><<<GridFor(count), kThreads, 0, context.stream>>>(
          table, a.input<T>(0), a.input<W>(2), b, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
