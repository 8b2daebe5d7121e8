// The gradient of GridSample by its input. A block owns some pixels of some planes: it goes
// over the positions of the grid in order, batch by batch, lists what reads its pixels, and
// its threads, each owning some of the sums, add what is listed in the list's order. Batches
// whose pixels are all elsewhere are passed over.
#include "runtime/backends/cuda/grid_sampling.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

constexpr int kSums = 2048;           // Of a block: pixels times planes.
constexpr int kListed = kListedTaps;  // Of a batch.
constexpr int kMostPlanes = 32;

struct Grad {
  Sampling sampling;
  unsigned batch_positions = 1;
  int64_t batches = 1;  // Of an image.
  int planes = 1;       // Of a block, a power of two; pixels are kSums / planes.
  int64_t plane_groups = 1;
  int64_t tiles = 1;  // Of a plane's pixels.
};

// The pixels that a batch reads: [low, high).
struct Reach {
  int64_t low;
  int64_t high;
};
static_assert(sizeof(Reach) == kReachBytes);

// A block a batch; reaches: [image][batch].
template <typename T>
__global__ void ReachKernel(Grad g, const T* grid, Reach* reaches) {
  __shared__ int64_t lows[kThreads];
  __shared__ int64_t highs[kThreads];
  const Sampling& s = g.sampling;
  for (int64_t i = blockIdx.x; i < s.batch * g.batches; i += gridDim.x) {
    Reach reach = {std::numeric_limits<int64_t>::max(), 0};
    const int64_t p = i % g.batches * g.batch_positions + threadIdx.x;
    if (threadIdx.x < g.batch_positions && p < s.positions) {
      const int64_t at = (i / g.batches * s.positions + p) * s.axes;
      s.ForTaps(grid + at, [&](int64_t offset, double, const double(&)[3]) {
        reach = {min(reach.low, offset), max(reach.high, offset + 1)};
      });
    }
    __syncthreads();  // Of the batch before, all have read.
    lows[threadIdx.x] = reach.low;
    highs[threadIdx.x] = reach.high;
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x >= half) continue;
      lows[threadIdx.x] = min(lows[threadIdx.x], lows[threadIdx.x + half]);
      highs[threadIdx.x] = max(highs[threadIdx.x], highs[threadIdx.x + half]);
    }
    if (threadIdx.x == 0) reaches[i] = {lows[0], highs[0]};
  }
}

// The sum of `value` over the threads before this one; `all`: over all of them.
__device__ inline int CountBefore(int value, int& all) {
  __shared__ int counts[kThreads];
  __syncthreads();
  counts[threadIdx.x] = value;
  for (unsigned step = 1; step < kThreads; step *= 2) {
    __syncthreads();
    const int add = threadIdx.x >= step ? counts[threadIdx.x - step] : 0;
    __syncthreads();
    counts[threadIdx.x] += add;
  }
  __syncthreads();
  all = counts[kThreads - 1];
  return counts[threadIdx.x] - value;
}

// What reads pixels of a tile, in the order of positions and taps.
struct Listed {
  int pixel[kListed];  // Of the tile.
  int position[kListed];
  double weight[kListed];
};

// Lists a batch of image `n`; how many there are.
template <typename T>
__device__ int ListBatch(const Grad& g, int64_t n, int64_t first, int64_t begin, int64_t end,
                         const T* grid, Listed& listed) {
  const Sampling& s = g.sampling;
  const int64_t p = first + threadIdx.x;
  const bool inside = threadIdx.x < g.batch_positions && p < s.positions;
  const T* at = grid + (n * s.positions + (inside ? p : 0)) * s.axes;
  int mine = 0;
  if (inside) {
    s.ForTaps(at, [&](int64_t offset, double, const double(&)[3]) {
      mine += offset >= begin && offset < end ? 1 : 0;
    });
  }
  int all = 0;
  int to = CountBefore(mine, all);
  if (mine > 0) {
    s.ForTaps(at, [&](int64_t offset, double weight, const double(&)[3]) {
      if (offset < begin || offset >= end) return;
      listed.pixel[to] = static_cast<int>(offset - begin);
      listed.position[to] = static_cast<int>(threadIdx.x);
      listed.weight[to++] = weight;
    });
  }
  __syncthreads();
  return all;
}

template <typename T>
__global__ void SampleGradKernel(Grad g, const T* dy, const T* grid, const Reach* reaches, T* dx) {
  __shared__ double sums[kSums];
  __shared__ Listed listed;
  __shared__ bool reads[kThreads];
  const Sampling& s = g.sampling;
  const int pixels = kSums / g.planes;
  const int sharers = kThreads / g.planes;  // Threads of a plane, each with its own pixels.
  const int my_plane = static_cast<int>(threadIdx.x) % g.planes;
  const int my_share = static_cast<int>(threadIdx.x) / g.planes;
  for (int64_t i = blockIdx.x; i < s.batch * g.plane_groups * g.tiles; i += gridDim.x) {
    const int64_t n = i / g.tiles / g.plane_groups;
    const int64_t first_plane = i / g.tiles % g.plane_groups * g.planes;
    const int64_t begin = i % g.tiles * pixels;
    const int64_t end = min(begin + pixels, s.plane);
    const bool adds = first_plane + my_plane < s.channels;
    const T* my_dy = dy + (n * s.channels + first_plane + my_plane) * s.positions;
    for (int k = static_cast<int>(threadIdx.x); k < kSums; k += kThreads) sums[k] = 0;
    for (int64_t batches = 0; batches < g.batches; batches += kThreads) {
      const int64_t tested = batches + threadIdx.x;
      __syncthreads();
      reads[threadIdx.x] = false;
      if (tested < g.batches) {
        const Reach reach = reaches[n * g.batches + tested];
        reads[threadIdx.x] = reach.low < end && reach.high > begin;
      }
      __syncthreads();
      for (int b = 0; b < kThreads; ++b) {
        if (!reads[b]) continue;
        const int64_t first = (batches + b) * g.batch_positions;
        const int count = ListBatch(g, n, first, begin, end, grid, listed);
        for (int k = 0; adds && k < count; ++k) {
          const int pixel = listed.pixel[k];
          if (pixel % sharers != my_share) continue;
          sums[my_plane * pixels + pixel] +=
              listed.weight[k] * static_cast<double>(Load(my_dy[first + listed.position[k]]));
        }
        __syncthreads();
      }
    }
    __syncthreads();
    for (int k = static_cast<int>(threadIdx.x); k < kSums; k += kThreads) {
      const int64_t plane = first_plane + k / pixels;
      const int64_t pixel = begin + k % pixels;
      if (plane >= s.channels || pixel >= end) continue;
      Store(sums[k], dx[(n * s.channels + plane) * s.plane + pixel]);
    }
    __syncthreads();
  }
}

int TapsOf(const Sampling& s) {  // Along an axis.
  return s.sampler.mode == Mode::kCubic ? 4 : s.sampler.mode == Mode::kLinear ? 2 : 1;
}

Grad Spread(const Sampling& s) {
  Grad g;
  g.sampling = s;
  g.batch_positions = static_cast<unsigned>(SampleBatch(s.axes, TapsOf(s)));
  g.batches = CeilDiv(s.positions, int64_t{g.batch_positions});
  while (g.planes < kMostPlanes && g.planes < s.channels) g.planes *= 2;
  g.plane_groups = CeilDiv(s.channels, g.planes);
  g.tiles = CeilDiv(s.plane, kSums / g.planes);
  return g;
}

}  // namespace

KernelResult CompileGridSampleGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const Sampling s = ReadSampling(check, check.output(0), check.input(0), 1);
  SameTypes(launch, check);
  WSI_RETURN_IF_ERROR(check.status());
  const Grad g = Spread(s);
  const int64_t blocks = s.batch * g.plane_groups * g.tiles;
  WSI_RETURN_IF_ERROR(
      RequireWorkspace(launch, ReachesBytes(s.batch, s.positions, s.axes, TapsOf(s))));
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
      if (blocks == 0) return {};
      auto* reaches = WorkspaceAt<Reach>(a);
      ReachKernel<T><<<GridFor(s.batch * g.batches, 1), kThreads, 0, context.stream>>>(
          g, a.input<T>(1), reaches);
      SampleGradKernel<T><<<GridFor(blocks, 1), kThreads, 0, context.stream>>>(
          g, a.input<T>(0), a.input<T>(1), reaches, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
