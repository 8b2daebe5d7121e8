// dw[o, tap, i] = sum over positions of dy[position, o] * x[input of position and tap, i]:
// a product of matrices whose sum runs over all positions of the image, the columns of the
// second being gathered. Blocks take tiles of dw and chunks of positions; a second kernel
// adds the chunks in fp64. Sums within a chunk are the tensor cores' fp32, which truncates,
// 16 positions at a time, on average 2.5e-8 of a sum of what is not negative: after kSegment
// positions they are rounded into the block's part of scratch.
#include <cmath>
#include <vector>

#include "runtime/backends/cuda/weight_grad.h"
#include "runtime/backends/cuda/weight_grad_sides.cuh"

namespace wsi::cuda {
namespace {

using Geometry = WeightGradGeometry;

constexpr int64_t kSegment = 8192;

// A block's tile of dw, of panels of 64 rows and of 64 columns, by two warpgroups beside or
// below each other. kStages: the loads under way and being multiplied.
template <int kRowPanels, int kColumnPanels, int kGroupRows, int kStagesOf>
struct Tile {
  static constexpr int kRows = kRowPanels * kPanelColumns;
  static constexpr int kColumns = kColumnPanels * kPanelColumns;
  static constexpr int kStages = kStagesOf;
  // Of one warpgroup.
  static constexpr int kGroupPanels = kRowPanels / kGroupRows;
  static constexpr int kGroupColumns = kColumns * kGroupRows / 2;
  static constexpr int kStageElements = (kRowPanels + kColumnPanels) * kPanelElements;
  static constexpr int kBytes = kStages * kStageElements * 2 + StartsRing::kBytes;
  static constexpr int kBlocks = 2 * kBytes <= 220 << 10 && kGroupPanels * kGroupColumns <= 128
                                     ? 2
                                     : 1;  // On a multiprocessor.

  __device__ static int FirstPanel() { return Group() / (2 / kGroupRows) * kGroupPanels; }
  __device__ static int FirstColumn() { return Group() % (2 / kGroupRows) * kGroupColumns; }
  using Sums = float[kGroupPanels][kGroupColumns / 8][4];

 private:
  __device__ static int Group() { return static_cast<int>(threadIdx.x) / 128; }
};

template <typename T, typename Tile>
__device__ void MultiplyStage(const uint16_t* stage, typename Tile::Sums& sums) {
  constexpr unsigned kPanelBytes = kPanelElements * 2;
  const uint16_t* rows = stage + Tile::FirstPanel() * kPanelElements;
  const uint16_t* columns = stage + Tile::kRows / kPanelColumns * kPanelElements +
                            Tile::FirstColumn() / kPanelColumns * kPanelElements;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
#pragma unroll
    for (int p = 0; p < Tile::kGroupPanels; ++p) {
      MultiplyPanels<T, Tile::kGroupColumns>(rows + p * kPanelElements + k * kPanelColumns,
                                             columns + k * kPanelColumns, kPanelBytes, sums[p]);
    }
  }
}

// Writes the sums to `part`, [rows, columns], or adds them.
template <typename Tile, bool kNarrow>
__device__ void StoreSums(const Geometry& g, int first_row, int first_column, bool add, float* part,
                          const typename Tile::Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
  const int row0 = first_row + Tile::FirstPanel() * kPanelColumns + warp * 16 + lane / 4;
  const int column0 = first_column + Tile::FirstColumn() + lane % 4 * 2;
#pragma unroll
  for (int p = 0; p < Tile::kGroupPanels; ++p) {
#pragma unroll
    for (int j = 0; j < Tile::kGroupColumns / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = row0 + p * kPanelColumns + e / 2 * 8;
        int column = column0 + j * 8 + e % 2;
        bool inside = row < g.rows;
        if constexpr (kNarrow) {  // Four columns a tap.
          inside = inside && column % 4 < g.channels;
          column = column / 4 * g.channels + column % 4;
        }
        if (inside && column < g.columns) {
          float* to = part + static_cast<int64_t>(row) * g.columns + column;
          *to = add ? *to + sums[p][j][e] : sums[p][j][e];
        }
      }
    }
  }
}

// A block's operands: loads a stage after the other.
template <typename Tile, Gather kGather>
class Operands {
 public:
  __device__ Operands(const Geometry& g, const uint16_t* x, const uint16_t* dy, int first_row,
                      int first_column)
      : g_(g),
        begin_(blockIdx.y * g.chunk),
        end_(min(g.positions, begin_ + g.chunk)),
        stages_(DynamicShared()),
        ring_(stages_ + kStages * Tile::kStageElements),
        rows_(dy, g.rows, first_row, begin_, end_),
        columns_(MakeColumns(x, first_column)) {}

  __device__ int64_t steps() const { return (end_ - begin_ + kDepth - 1) / kDepth; }
  __device__ const uint16_t* stage(int64_t step) const {
    return stages_ + step % kStages * Tile::kStageElements;
  }

  // All threads call it.
  __device__ void Start() {
    if constexpr (kGather != Gather::kPoint) {
      ring_.Make(g_, begin_, end_, 0);
      ring_.Make(g_, begin_, end_, 1);
      __syncthreads();
      columns_.Start(ring_);
    }
  }
  // All threads call it, for one step after the other, with a barrier between.
  __device__ void Load(int64_t step) {
    uint16_t* at = stages_ + step % kStages * Tile::kStageElements;
    rows_.Load(at);
    at += Tile::kRows / kPanelColumns * kPanelElements;
    if constexpr (kGather == Gather::kPoint) {
      columns_.Load(at);
    } else {
      columns_.Load(at, ring_, step);
      constexpr int64_t kBatch = StartsRing::kBatch;
      if (step >= kBatch && step % kBatch == kBatch / 2) {
        ring_.Make(g_, begin_, end_, step / kBatch + 1);
      }
    }
  }

 private:
  static constexpr int kStages = Tile::kStages;
  using Columns = std::conditional_t<kGather == Gather::kPoint, PlainSide<Tile::kColumns, true>,
                                     GatheredSide<Tile::kColumns, kGather>>;
  __device__ Columns MakeColumns(const uint16_t* x, int first_column) const {
    if constexpr (kGather == Gather::kPoint) {
      return Columns(x, g_.channels, first_column, begin_, end_);
    } else {
      return Columns(g_, x, first_column);
    }
  }

  const Geometry& g_;
  int64_t begin_, end_;
  uint16_t* stages_;
  StartsRing ring_;
  PlainSide<Tile::kRows, kGather != Gather::kAny> rows_;
  Columns columns_;
};

// Grid: tiles, chunks. parts: [chunks, rows, columns].
template <typename T, typename Tile, Gather kGather>
__global__ void __launch_bounds__(kThreads, Tile::kBlocks)
    WeightGradKernel(const Geometry g, const uint16_t* x, const uint16_t* dy, float* parts) {
  constexpr int kStages = Tile::kStages;
  constexpr int kAhead = kStages - 2;  // Steps from a stage's load to its products.
  const int first_row = static_cast<int>(blockIdx.x) % g.row_tiles * Tile::kRows;
  const int first_column = static_cast<int>(blockIdx.x) / g.row_tiles * Tile::kColumns;
  Operands<Tile, kGather> operands(g, x, dy, first_row, first_column);
  operands.Start();
  const int64_t steps = operands.steps();
  for (int64_t step = 0; step < kAhead; ++step) {
    if (step < steps) operands.Load(step);
    EndCopies();
  }
  float* part = parts + static_cast<int64_t>(blockIdx.y) * g.rows * g.columns;
  constexpr int64_t kSteps = kSegment / kDepth;
  for (int64_t segment = 0; segment < steps; segment += kSteps) {
    typename Tile::Sums sums = {};
    const int64_t segment_end = min(steps, segment + kSteps);
    for (int64_t step = segment; step < segment_end; ++step) {
      WaitForCopies<kAhead - 1>();
      ShowToProducts();
      // All threads' copies of this stage are there, and the products of the step before
      // the last, whose stage is loaded next, are done.
      __syncthreads();
      BeginProducts();
      MultiplyStage<T, Tile>(operands.stage(step), sums);
      EndProducts();
      if (step + kAhead < steps) operands.Load(step + kAhead);
      EndCopies();
      WaitForProducts<1>();
    }
    WaitForProducts<0>();
    StoreSums<Tile, kGather == Gather::kNarrow>(g, first_row, first_column, segment > 0, part,
                                                sums);
  }
}

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

template <typename T, typename Tile, Gather kGather>
Variant MakeVariant() {
  return {Tile::kRows, Tile::kColumns, Tile::kBlocks, Tile::kBytes,
          WeightGradKernel<T, Tile, kGather>};
}

template <typename T, Gather kGather>
std::vector<Variant> WideVariants() {
  return {MakeVariant<T, Tile<1, 2, 1, 6>, kGather>(), MakeVariant<T, Tile<2, 1, 2, 6>, kGather>(),
          MakeVariant<T, Tile<2, 2, 2, 6>, kGather>(), MakeVariant<T, Tile<1, 4, 1, 5>, kGather>(),
          MakeVariant<T, Tile<4, 1, 2, 5>, kGather>(), MakeVariant<T, Tile<4, 2, 2, 8>, kGather>()};
}

template <typename T>
std::vector<Variant> Variants(Gather gather) {
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
  const double part_bytes = 8.0 * g.rows * g.columns * static_cast<double>(chunks);
  return rounds * (stages + kPrologue) * kDepth * blocks * PositionSeconds(v) +
         part_bytes / kStoreRate;
}

// `tiling`: one of the variants, instead of all.
template <typename T>
Cut ChooseCut(const Geometry& g, Gather gather, std::optional<size_t> tiling) {
  const Bytes part_bytes = Bytes{g.rows} * g.columns * Bytes{sizeof(float)};
  const int64_t most = std::clamp<int64_t>(
      std::min(kMostPartBytes / part_bytes, CeilDiv(g.positions, kLeastChunk)), 1, kMostChunks);
  Cut best;
  double best_seconds = std::numeric_limits<double>::infinity();
  std::vector<Variant> variants = Variants<T>(gather);
  if (tiling) variants = {variants[*tiling]};
  for (const Variant& v : variants) {
    const int64_t tiles = TileCount(g, gather, v);
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

// False where a size does not fit.
bool ReadGeometry(const Window& w, Geometry& g) {
  constexpr int64_t kMost = int64_t{1} << 29;
  const int64_t columns = w.KernelPositions() * w.in_channels;
  if (columns > kMost || w.out_channels > kMost || w.batch > kMost) return false;
  g.positions = w.batch * w.OutPositions();
  g.rows = static_cast<int>(w.out_channels);
  g.columns = static_cast<int>(columns);
  g.channels = static_cast<int>(w.in_channels);
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

Gather GatherOf(const Window& w) {
  const bool plane = w.in[0] == 1 && w.out[0] == 1 && w.kernel[0] == 1 && w.pad_begin[0] == 0;
  if (w.out_channels % kPackElements != 0) return Gather::kAny;
  if (plane && w.in_channels <= 4) return Gather::kNarrow;
  if (w.in_channels % kPackElements != 0) return Gather::kAny;
  const Index3 none{0, 0, 0};
  const Index3 one{1, 1, 1};
  const bool point = w.KernelPositions() == 1 && w.stride == one && w.pad_begin == none;
  if (point && w.in == w.out) return Gather::kPoint;
  return plane ? Gather::kPlane : Gather::kAny;
}

}  // namespace

size_t WeightGrad::TilingCount(const Window& window) {
  return Variants<__half>(GatherOf(window)).size();
}

Result<WeightGrad> WeightGrad::Make(const Window& window, DType dtype,
                                    std::optional<size_t> tiling) {
  Geometry g{};
  if (window.batch * window.OutPositions() == 0) return InvalidInput("dy is empty");
  if (!ReadGeometry(window, g)) return InvalidInput("a size is above 2^29");
  const Gather gather = GatherOf(window);
  const Cut cut = dtype == DType::kF16 ? ChooseCut<__half>(g, gather, tiling)
                                       : ChooseCut<__nv_bfloat16>(g, gather, tiling);
  g.chunk = cut.chunk;
  g.row_tiles = static_cast<int>(CeilDiv(g.rows, cut.variant.rows));
  const dim3 grid(static_cast<unsigned>(cut.tiles), static_cast<unsigned>(cut.chunks));
  const KernelFunction kernel = cut.variant.kernel;
  WSI_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                static_cast<int>(cut.variant.shared_bytes)));
  const int64_t count = int64_t{g.rows} * g.columns;
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

KernelResult MakeWeightGrad(const LaunchSpec& launch, const Window& window, Context& context) {
  auto made = WeightGrad::Make(window, launch.inputs[0].dtype);
  if (!made.ok()) return CompileError(launch, made.status().message());
  WSI_RETURN_IF_ERROR(context.scratch.Require(made->scratch_bytes()));
  return MakeKernel([grad = *std::move(made), &context](const LaunchArguments& a) {
    return grad.Run(a.inputs[0], a.inputs[1], a.output<float>(0), context.scratch.at<float>(0),
                    context.stream);
  });
}

}  // namespace wsi::cuda
