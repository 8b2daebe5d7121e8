// The largest or smallest few along one axis, in order. Many short lines get a thread each.
// Others are cut into chunks: a block lists the first k of each, every thread keeping the
// next of its own elements, and a second kernel merges the lists, a thread a list.
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"
#include "runtime/backends/cuda/ordering.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

struct Selection {
  Rows rows;
  int64_t k = 0;
  Order order;
  int64_t chunk_length = 0;
  int64_t chunks = 1;
  int64_t listed = 0;  // Of a chunk.
  __host__ __device__ int64_t Lines() const { return rows.outer_count * rows.inner_count; }
  // Where result j of line `line` is.
  __device__ int64_t ResultAt(int64_t line, int64_t j) const {
    return (line / rows.inner_count * k + j) * rows.inner_count + line % rows.inner_count;
  }
};

// The first in order, behind `previous` if that is one, among elements begin, begin + step...
template <typename T>
__device__ Candidate<Computed<T>> NextOf(const Selection& s, const T* line, int64_t begin,
                                         int64_t end, int64_t step,
                                         const Candidate<Computed<T>>& previous) {
  Candidate<Computed<T>> best;
  for (int64_t i = begin; i < end; i += step) {
    const Candidate<Computed<T>> c = {Load(line[i * s.rows.inner_count]), i};
    if (previous.at >= 0 && !s.order.IsBefore(previous, c)) continue;
    if (s.order.IsBefore(c, best)) best = c;
  }
  return best;
}

template <typename T>
__global__ void SelectFromLine(Selection s, const T* x, T* y, int64_t* indices) {
  for (int64_t r = FirstItem(); r < s.Lines(); r += ItemStride()) {
    const T* line = x + StartOf(s.rows, r);
    Candidate<Computed<T>> previous;
    for (int64_t j = 0; j < s.k; ++j) {
      previous = NextOf(s, line, 0, s.rows.length, 1, previous);
      y[s.ResultAt(r, j)] = line[previous.at * s.rows.inner_count];
      if (indices != nullptr) indices[s.ResultAt(r, j)] = previous.at;
    }
  }
}

// lists: [line][chunk][listed], -1 behind the elements of a chunk; null where there is one
// chunk, whose list is the result.
template <typename T>
__global__ void ListChunks(Selection s, const T* x, int64_t* lists, T* y, int64_t* indices) {
  const int64_t begin = blockIdx.x * s.chunk_length + threadIdx.y;
  const int64_t end = min(s.rows.length, (blockIdx.x + int64_t{1}) * s.chunk_length);
  for (int64_t r = blockIdx.y; r < s.Lines(); r += gridDim.y) {
    const T* line = x + StartOf(s.rows, r);
    auto mine = NextOf(s, line, begin, end, blockDim.y, {});
    for (int64_t j = 0; j < s.listed; ++j) {
      const auto first = FirstOfColumn(mine, s.order);
      if (threadIdx.y == 0) {
        if (lists != nullptr) {
          lists[(r * s.chunks + blockIdx.x) * s.listed + j] = first.at;
        } else {
          y[s.ResultAt(r, j)] = line[first.at * s.rows.inner_count];
          if (indices != nullptr) indices[s.ResultAt(r, j)] = first.at;
        }
      }
      if (first.at >= 0 && mine.at == first.at) {
        mine = NextOf(s, line, begin, end, blockDim.y, first);
      }
    }
  }
}

// A block a line, a thread a list.
template <typename T>
__global__ void MergeLists(Selection s, const int64_t* lists, const T* x, T* y, int64_t* indices) {
  for (int64_t r = blockIdx.x; r < s.Lines(); r += gridDim.x) {
    const T* line = x + StartOf(s.rows, r);
    const int64_t* list = lists + (r * s.chunks + threadIdx.y) * s.listed;
    int64_t head = 0;
    const auto take = [&] {
      Candidate<Computed<T>> c;
      if (threadIdx.y < s.chunks && head < s.listed) c.at = list[head++];
      if (c.at >= 0) c.value = Load(line[c.at * s.rows.inner_count]);
      return c;
    };
    auto mine = take();
    for (int64_t j = 0; j < s.k; ++j) {
      const auto first = FirstOfColumn(mine, s.order);
      if (threadIdx.y == 0) {
        y[s.ResultAt(r, j)] = line[first.at * s.rows.inner_count];
        if (indices != nullptr) indices[s.ResultAt(r, j)] = first.at;
      }
      if (mine.at == first.at) mine = take();
    }
  }
}

unsigned ThreadsFor(int64_t items) {
  unsigned threads = 32;
  while (threads < kThreads && threads < items) threads *= 2;
  return threads;
}

template <typename T>
KernelResult CompileChunks(const LaunchSpec& launch, Selection s, const TopKCut& cut,
                           Context& context) {
  const int64_t lines = s.Lines();
  s.chunk_length = cut.chunk_length;
  s.chunks = cut.chunks;
  s.listed = cut.listed;
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, TopKBytes(s.rows, s.k)));
  const dim3 grid(static_cast<unsigned>(s.chunks),
                  static_cast<unsigned>(std::clamp<int64_t>(lines, 1, 65535)));
  const dim3 block(1, ThreadsFor(std::min(s.chunk_length, s.rows.length)));
  return MakeKernel([=, &context](const LaunchArguments& a) {
    auto* lists = s.chunks > 1 ? WorkspaceAt<int64_t>(a) : nullptr;
    ListChunks<T><<<grid, block, 0, context.stream>>>(s, a.input<T>(0), lists, a.output<T>(0),
                                                      a.output<int64_t>(1));
    if (s.chunks > 1) {
      MergeLists<T><<<GridFor(lines, 1), dim3(1, ThreadsFor(s.chunks)), 0, context.stream>>>(
          s, lists, a.input<T>(0), a.output<T>(0), a.output<int64_t>(1));
    }
    return LaunchStatus();
  });
}

Shape WithAxis(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = size;
  return Shape::Make(sizes).value();
}

}  // namespace

KernelResult CompileTopK(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("*", "*l"));
  const Shape& x_shape = check.input(0);
  const int axis = check.Axis("axis", x_shape.rank());
  WSI_RETURN_IF_ERROR(check.status());
  Selection s;
  s.k = check.Int("k", 0, x_shape[axis], 0);
  s.order.largest = check.Int("largest", 0, 1, 1) == 1;
  check.OutputIs(0, WithAxis(x_shape, axis, s.k));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, WithAxis(x_shape, axis, s.k));
  WSI_RETURN_IF_ERROR(check.status());
  s.rows = RowsAlong(x_shape, axis);
  const int64_t lines = s.Lines();
  return ForElement(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    if (lines * s.k == 0) return MakeKernel([](const LaunchArguments&) {});
    const TopKCut cut = CutTopK(s.rows, s.k);
    if (cut.is_cut) return CompileChunks<T>(launch, s, cut, context);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      SelectFromLine<T><<<GridFor(lines), kThreads, 0, context.stream>>>(
          s, a.input<T>(0), a.output<T>(0), a.output<int64_t>(1));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
