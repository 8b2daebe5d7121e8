// dw[o, tap, i] = sum over positions of dy[position, o] * x[input of position and tap, i]:
// a product of matrices whose sum runs over all positions of the image, the columns of the
// second being gathered. Blocks take tiles of dw and chunks of positions; a second kernel
// adds the chunks in fp64. Groups of few channels are computed in bundles, as if they were
// one, of whose product the blocks on the diagonal are kept:
//
//                  input channels of a tap
//     output    [ group 0 |         |         ]
//     channels  [         | group 1 |         ]    mostly a bundle has up to 64 channels
//               [         |         | group 2 ]
#include <cmath>
#include <vector>

#include "runtime/backends/cuda/weight_grad.h"
#include "runtime/backends/cuda/weight_grad_kernel.cuh"

namespace wsi::cuda {
namespace {

using Geometry = WeightGradGeometry;

// sum[i] = the sum of parts[., i] in fp64: of few parts, a thread an element.
__global__ void SumFewParts(const float* parts, int64_t count, int64_t part_count, float* sum) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    double total = 0;
#pragma unroll 4
    for (int64_t p = 0; p < part_count; ++p) total += static_cast<double>(parts[p * count + i]);
    sum[i] = static_cast<float>(total);
  }
}
// Of many, blocks of 32 elements and 8 runs of parts.
__global__ void SumParts(const float* parts, int64_t count, int64_t part_count, float* sum) {
  __shared__ double shared[8][32];
  const int64_t i = int64_t{blockIdx.x} * 32 + threadIdx.x;
  double total = 0;
  if (i < count) {
#pragma unroll 4
    for (int64_t p = threadIdx.y; p < part_count; p += 8) {
      total += static_cast<double>(parts[p * count + i]);
    }
  }
  shared[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || i >= count) return;
  for (int run = 1; run < 8; ++run) total += shared[run][threadIdx.x];
  sum[i] = static_cast<float>(total);
}

using KernelFunction = void (*)(Geometry, const uint16_t*, const uint16_t*, float*);

struct Variant {
  int rows = 0;
  int columns = 0;
  int blocks = 0;  // On a multiprocessor.
  unsigned shared_bytes = 0;
  KernelFunction kernel = nullptr;
};

template <typename T, typename Tile, Gather kGather, bool kGroups = false>
Variant MakeVariant() {
  return {Tile::kRows, Tile::kColumns, Tile::kBlocks, Tile::kBytes,
          WeightGradKernel<T, Tile, kGather, kGroups>};
}

template <typename T, Gather kGather>
std::vector<Variant> WideVariants() {
  return {MakeVariant<T, Tile<1, 2, 1, 6>, kGather>(), MakeVariant<T, Tile<2, 1, 2, 6>, kGather>(),
          MakeVariant<T, Tile<2, 2, 2, 6>, kGather>(), MakeVariant<T, Tile<1, 4, 1, 5>, kGather>(),
          MakeVariant<T, Tile<4, 1, 2, 5>, kGather>(), MakeVariant<T, Tile<4, 2, 2, 8>, kGather>()};
}

template <typename T, Gather kGather>
std::vector<Variant> GroupVariants() {
  return {MakeVariant<T, Tile<1, 2, 1, 6>, kGather, true>(),
          MakeVariant<T, Tile<1, 4, 1, 5>, kGather, true>()};
}

// `groups`: bundles have several each.
template <typename T>
std::vector<Variant> Variants(Gather gather, bool groups) {
  if (groups) {
    switch (gather) {
      case Gather::kPoint: return GroupVariants<T, Gather::kPoint>();
      case Gather::kPlane: return GroupVariants<T, Gather::kPlane>();
      default: return {MakeVariant<T, Tile<1, 2, 1, 6>, Gather::kAny, true>()};
    }
  }
  switch (gather) {
    case Gather::kPoint: return WideVariants<T, Gather::kPoint>();
    case Gather::kPlane: return WideVariants<T, Gather::kPlane>();
    case Gather::kNarrow: return {MakeVariant<T, Tile<1, 2, 1, 6>, Gather::kNarrow>()};
    default: return {MakeVariant<T, Tile<1, 2, 1, 6>, Gather::kAny>()};
  }
}

// How a problem is cut. Depends on sizes alone, so that bits do not depend on the device.
struct Cut {
  Variant variant;
  int64_t tiles = 0;
  int64_t chunk = 0;
  int64_t chunks = 0;
};

// Of an H100.
constexpr double kMultiprocessors = 132;
constexpr double kMultiplyRate = 600e12;  // FLOP/s.
constexpr double kLoadRate = 6e12;        // Bytes/s into shared memory.
constexpr double kStageSeconds = 15e-12;  // Of a stage, whatever its size, for a position.
constexpr double kStoreRate = 2e12;       // Of parts, written and read.
constexpr Bytes kMostPartBytes = Bytes{128} << 20;
constexpr int64_t kMostChunks = 4096;
constexpr int64_t kFewParts = 16;
constexpr int64_t kLeastChunk = 512;
constexpr double kPrologue = 16;  // Stages that starting a block takes.

// Of a bundle.
int64_t TileCount(const Geometry& g, Gather gather, const Variant& v) {
  const int columns = gather == Gather::kNarrow ? g.columns / g.channels * 4 : g.columns;
  return CeilDiv(g.rows, v.rows) * CeilDiv(columns, v.columns);
}

// Of one position in one tile, all multiprocessors at work.
double PositionSeconds(const Variant& v) {
  return kStageSeconds +
         std::max(2.0 * v.rows * v.columns / kMultiplyRate, 2.0 * (v.rows + v.columns) / kLoadRate);
}

double CutSeconds(const Geometry& g, const Variant& v, int64_t tiles, int64_t chunks) {
  const double blocks = kMultiprocessors * v.blocks;
  const double stages = static_cast<double>(CeilDiv(CeilDiv(g.positions, chunks), kDepth));
  const double rounds = std::ceil(static_cast<double>(tiles * chunks) / blocks);
  const double part_bytes = 8.0 * static_cast<double>(g.elements * chunks);
  return rounds * (stages + kPrologue) * kDepth * blocks * PositionSeconds(v) +
         part_bytes / kStoreRate;
}

// `tiling`: one of the variants, instead of all.
template <typename T>
Cut ChooseCut(const Geometry& g, Gather gather, std::optional<size_t> tiling) {
  const Bytes part_bytes = g.elements * Bytes{sizeof(float)};
  const int64_t bundles = CeilDiv(g.all_rows, g.rows);
  const int64_t most = std::clamp<int64_t>(
      std::min(kMostPartBytes / part_bytes, CeilDiv(g.positions, kLeastChunk)), 1, kMostChunks);
  Cut best;
  double best_seconds = std::numeric_limits<double>::infinity();
  std::vector<Variant> variants = Variants<T>(gather, g.channels > g.group_channels);
  if (tiling) variants = {variants[*tiling]};
  for (const Variant& v : variants) {
    const int64_t tiles = TileCount(g, gather, v) * bundles;
    for (int64_t chunks = 1; chunks <= most; ++chunks) {
      const double seconds = CutSeconds(g, v, tiles, chunks);
      if (seconds >= best_seconds) continue;
      best_seconds = seconds;
      best = {.variant = v, .tiles = tiles, .chunk = 0, .chunks = chunks};
    }
  }
  best.chunk = AlignUp(CeilDiv(g.positions, best.chunks), kDepth);
  best.chunks = CeilDiv(g.positions, best.chunk);
  return best;
}

// How many groups a bundle has: where that can be, so many that its channels begin at packs.
int64_t GroupsOfBundle(const Window& w, int64_t groups) {
  const int64_t in = w.in_channels / groups;
  const int64_t out = w.out_channels / groups;
  const int64_t most = std::clamp<int64_t>(kPanelColumns / std::max(in, out), 1, groups);
  const auto in_packs = [&](int64_t n) {
    return n * in % kPackElements == 0 && n * out % kPackElements == 0;
  };
  for (int64_t n = most; n > 0; --n) {
    if (in_packs(n)) return n;
  }
  for (int64_t n = most + 1; n <= std::min<int64_t>(groups, kPackElements); ++n) {
    if (in_packs(n)) return n;
  }
  return most;
}

// False where a size does not fit.
bool ReadGeometry(const Window& w, int64_t groups, Geometry& g) {
  constexpr int64_t kMost = int64_t{1} << 29;
  const int64_t columns = w.KernelPositions() * w.in_channels;
  if (columns > kMost || w.out_channels > kMost || w.batch > kMost) return false;
  const auto bundled = static_cast<int>(GroupsOfBundle(w, groups));
  g.positions = w.batch * w.OutPositions();
  g.elements = w.out_channels * columns / groups;
  g.all_rows = static_cast<int>(w.out_channels);
  g.all_channels = static_cast<int>(w.in_channels);
  g.group_rows = static_cast<int>(w.out_channels / groups);
  g.group_channels = static_cast<int>(w.in_channels / groups);
  g.rows = bundled * g.group_rows;
  g.channels = bundled * g.group_channels;
  g.columns = g.channels * static_cast<int>(w.KernelPositions());
  for (size_t a = 0; a < 3; ++a) {
    const int64_t reach = w.out[a] * w.stride[a] + w.kernel[a] * w.dilation[a];
    if (reach > kMost || w.in[a] > kMost || w.pad_begin[a] > kMost) return false;
    g.in[a] = static_cast<int>(w.in[a]);
    g.out[a] = static_cast<int>(w.out[a]);
    g.kernel[a] = static_cast<int>(w.kernel[a]);
    g.stride[a] = static_cast<int>(w.stride[a]);
    g.dilation[a] = static_cast<int>(w.dilation[a]);
    g.pad[a] = static_cast<int>(w.pad_begin[a]);
  }
  return true;
}

Gather GatherOf(const Window& w, int64_t groups) {
  const bool plane = w.in[0] == 1 && w.out[0] == 1 && w.kernel[0] == 1 && w.pad_begin[0] == 0;
  const int64_t bundled = GroupsOfBundle(w, groups);
  const auto in_packs = [&](int64_t channels) {  // Of positions and of bundles.
    return channels % kPackElements == 0 && bundled * (channels / groups) % kPackElements == 0;
  };
  if (!in_packs(w.out_channels)) return Gather::kAny;
  if (plane && groups == 1 && w.in_channels <= 4) return Gather::kNarrow;
  if (!in_packs(w.in_channels)) return Gather::kAny;
  const Index3 none{0, 0, 0};
  const Index3 one{1, 1, 1};
  const bool point = w.KernelPositions() == 1 && w.stride == one && w.pad_begin == none;
  if (point && w.in == w.out) return Gather::kPoint;
  return plane ? Gather::kPlane : Gather::kAny;
}

}  // namespace

size_t WeightGrad::TilingCount(const Window& window, int64_t groups) {
  return Variants<__half>(GatherOf(window, groups), GroupsOfBundle(window, groups) > 1).size();
}

Result<WeightGrad> WeightGrad::Make(const Window& window, int64_t groups, DType dtype,
                                    std::optional<size_t> tiling) {
  Geometry g{};
  if (window.batch * window.OutPositions() == 0) return InvalidInput("dy is empty");
  if (!ReadGeometry(window, groups, g)) return InvalidInput("a size is above 2^29");
  const Gather gather = GatherOf(window, groups);
  const Cut cut = dtype == DType::kF16 ? ChooseCut<__half>(g, gather, tiling)
                                       : ChooseCut<__nv_bfloat16>(g, gather, tiling);
  g.chunk = cut.chunk;
  g.row_tiles = static_cast<int>(CeilDiv(g.rows, cut.variant.rows));
  g.tiles = static_cast<int>(TileCount(g, gather, cut.variant));
  const dim3 grid(static_cast<unsigned>(cut.tiles), static_cast<unsigned>(cut.chunks));
  const KernelFunction kernel = cut.variant.kernel;
  WSI_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                static_cast<int>(cut.variant.shared_bytes)));
  const int64_t count = g.elements;
  WeightGrad grad;
  if (cut.chunks > 1) grad.scratch_bytes_ = cut.chunks * count * static_cast<Bytes>(sizeof(float));
  grad.run_ = [=](const void* x, const void* dy, float* dw, float* scratch, cudaStream_t stream) {
    float* parts = cut.chunks > 1 ? scratch : dw;
    kernel<<<grid, kThreads, cut.variant.shared_bytes, stream>>>(
        g, static_cast<const uint16_t*>(x), static_cast<const uint16_t*>(dy), parts);
    if (cut.chunks > 1 && cut.chunks <= kFewParts) {
      SumFewParts<<<GridFor(count), kThreads, 0, stream>>>(parts, count, cut.chunks, dw);
    } else if (cut.chunks > 1) {
      const auto blocks = static_cast<unsigned>(CeilDiv(count, 32));
      SumParts<<<blocks, dim3(32, 8), 0, stream>>>(parts, count, cut.chunks, dw);
    }
    return LaunchStatus();
  };
  return grad;
}

KernelResult MakeWeightGrad(const LaunchSpec& launch, const Window& window, int64_t groups,
                            Context& context) {
  auto made = WeightGrad::Make(window, groups, launch.inputs[0].dtype);
  if (!made.ok()) return CompileError(launch, made.status().message());
  WSI_RETURN_IF_ERROR(context.scratch.Require(made->scratch_bytes()));
  return MakeKernel([grad = *std::move(made), &context](const LaunchArguments& a) {
    return grad.Run(a.inputs[0], a.inputs[1], a.output<float>(0), context.scratch.at<float>(0),
                    context.stream);
  });
}

}  // namespace wsi::cuda
