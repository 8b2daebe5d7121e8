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

// The kernel for one of kWeightGradTiles.
struct Variant {
  unsigned shared_bytes = 0;
  KernelFunction kernel = nullptr;
};

template <typename T, Gather kGather, bool kGroups, size_t kTile, typename Tile>
Variant MakeVariant() {
  constexpr WeightGradTile kOf = kWeightGradTiles[kTile];
  static_assert(kOf.rows == Tile::kRows && kOf.columns == Tile::kColumns);
  static_assert(kOf.blocks == Tile::kBlocks);
  return {Tile::kBytes, WeightGradKernel<T, Tile, kGather, kGroups>};
}

template <typename T, Gather kGather>
Variant WideVariant(size_t tile) {
  switch (tile) {
    case 0: return MakeVariant<T, kGather, false, 0, Tile<1, 2, 1, 6>>();
    case 1: return MakeVariant<T, kGather, false, 1, Tile<2, 1, 2, 6>>();
    case 2: return MakeVariant<T, kGather, false, 2, Tile<2, 2, 2, 6>>();
    case 3: return MakeVariant<T, kGather, false, 3, Tile<1, 4, 1, 5>>();
    case 4: return MakeVariant<T, kGather, false, 4, Tile<4, 1, 2, 5>>();
    default: return MakeVariant<T, kGather, false, 5, Tile<4, 2, 2, 8>>();
  }
}

template <typename T, Gather kGather>
Variant GroupVariant(size_t tile) {
  return tile == 0 ? MakeVariant<T, kGather, true, 0, Tile<1, 2, 1, 6>>()
                   : MakeVariant<T, kGather, true, 3, Tile<1, 4, 1, 5>>();
}

template <typename T>
Variant VariantOf(const WeightGradCut& cut) {
  if (cut.bundled > 1) {
    switch (cut.gather) {
      case Gather::kPoint: return GroupVariant<T, Gather::kPoint>(cut.tile);
      case Gather::kPlane: return GroupVariant<T, Gather::kPlane>(cut.tile);
      default: return MakeVariant<T, Gather::kAny, true, 0, Tile<1, 2, 1, 6>>();
    }
  }
  switch (cut.gather) {
    case Gather::kPoint: return WideVariant<T, Gather::kPoint>(cut.tile);
    case Gather::kPlane: return WideVariant<T, Gather::kPlane>(cut.tile);
    case Gather::kNarrow: return MakeVariant<T, Gather::kNarrow, false, 0, Tile<1, 2, 1, 6>>();
    default: return MakeVariant<T, Gather::kAny, false, 0, Tile<1, 2, 1, 6>>();
  }
}

constexpr int64_t kFewParts = 16;

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

}  // namespace

size_t WeightGrad::TilingCount(const Window& window, int64_t groups) {
  return TilesFor(window, groups).size();
}

Result<WeightGrad> WeightGrad::Make(const Window& window, int64_t groups, DType dtype,
                                    std::optional<size_t> tiling, Bytes most) {
  Geometry g{};
  if (window.batch * window.OutPositions() == 0) return InvalidInput("dy is empty");
  if (!ReadGeometry(window, groups, g)) return InvalidInput("a size is above 2^29");
  WeightGradCut cut = CutWeightGrad(window, groups, tiling);
  // Its cost model may come out otherwise on the machine that planned.
  if (cut.part_bytes > most) cut = CutWeightGrad(window, groups, tiling, most);
  const Variant variant =
      dtype == DType::kF16 ? VariantOf<__half>(cut) : VariantOf<__nv_bfloat16>(cut);
  g.chunk = cut.chunk;
  g.row_tiles = static_cast<int>(CeilDiv(g.rows, kWeightGradTiles[cut.tile].rows));
  g.tiles = static_cast<int>(cut.bundle_tiles);
  const dim3 grid(static_cast<unsigned>(cut.tiles), static_cast<unsigned>(cut.chunks));
  const KernelFunction kernel = variant.kernel;
  WSI_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                static_cast<int>(variant.shared_bytes)));
  const int64_t count = g.elements;
  WeightGrad grad;
  grad.workspace_bytes_ = cut.part_bytes;
  grad.run_ = [=](const void* x, const void* dy, float* dw, float* workspace, cudaStream_t stream) {
    float* parts = cut.chunks > 1 ? workspace : dw;
    kernel<<<grid, kThreads, variant.shared_bytes, stream>>>(
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
  auto made = WeightGrad::Make(window, groups, launch.inputs[0].dtype, std::nullopt,
                               launch.workspace_bytes);
  if (!made.ok()) return CompileError(launch, made.status().message());
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, made->workspace_bytes()));
  return MakeKernel([grad = *std::move(made), &context](const LaunchArguments& a) {
    return grad.Run(a.inputs[0], a.inputs[1], a.output<float>(0), WorkspaceAt<float>(a),
                    context.stream);
  });
}

}  // namespace wsi::cuda
