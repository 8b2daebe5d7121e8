// dw[o, tap, i] = sum over positions of dy[position, o] * x[input of position and tap, i]:
// a product of matrices whose sum runs over all positions of the image, the columns of the
// second being gathered. Blocks take tiles of dw and chunks of positions; a second kernel
// adds the chunks in fp64. Sums within a chunk are the tensor cores' fp32, which truncates:
// at most kSegment positions, then they are rounded into the block's part of scratch.
#include <array>
#include <vector>

#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/tensor_core.cuh"
#include "runtime/backends/cuda/weight_grad.h"

namespace wsi::cuda {
namespace {

constexpr int kDepth = 32;  // Positions of a stage.
constexpr int kStages = 4;
constexpr int64_t kSegment = 65536;
constexpr int kPack = 8;  // Halves of one 16-byte access.

struct Geometry {
  int64_t positions;  // Of all images.
  int64_t chunk;      // Of a block, a multiple of kDepth.
  int rows;           // Of the tile's matrix: output channels.
  int columns;        // Taps times input channels.
  int channels;       // Of the input.
  int row_tiles;
  int in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
  int step[4];  // kDepth positions further: in images, and along the axes.
};

// A block's tile of dw, by eight warps.
template <int kRowsOf, int kColumnsOf, int kWarpRowsOf>
struct Tile {
  static constexpr int kRows = kRowsOf;
  static constexpr int kColumns = kColumnsOf;
  static constexpr int kWarpRows = kWarpRowsOf;  // Warps along the rows.
  static constexpr int kM = kRows / kWarpRows / 16;
  static constexpr int kN = kColumns / (8 / kWarpRows) / 8;
  static constexpr int kStageElements = kDepth * (kRows + kColumns);
  static constexpr int kTableBytes = kColumns * 16;
  static constexpr int kBytes = kStages * kStageElements * 2 + kTableBytes;
};

// Where `pack` of position `k` is in a stage's [kDepth, kColumns]: moved so that eight
// positions of one pack are in different banks.
template <int kColumns>
__device__ int SharedAt(int k, int pack) {
  return k * kColumns + (pack ^ (k % 8)) * kPack;
}

// How the threads of a block load [kDepth, kColumns]: each has one pack of columns, of
// kLoads positions kStep apart.
template <int kColumns>
struct LoadShape {
  static constexpr int kPacks = kColumns / kPack;
  static constexpr int kStep = kThreads / kPacks;
  static constexpr int kLoads = kDepth / kStep;
  __device__ static int Pack() { return static_cast<int>(threadIdx.x) % kPacks; }
  __device__ static int Row(int load) {
    return static_cast<int>(threadIdx.x) / kPacks + load * kStep;
  }
};

// dy, [positions, rows].
template <int kColumns, bool kWide>
struct OutputSide {
  using Shape = LoadShape<kColumns>;
  const uint16_t* dy;
  int64_t position, end;
  int width, column;

  __device__ OutputSide(const Geometry& g, const void* from, int first, int64_t begin, int64_t stop)
      : dy(static_cast<const uint16_t*>(from)),
        position(begin),
        end(stop),
        width(g.rows),
        column(first + Shape::Pack() * kPack) {}

  __device__ void Load(uint16_t* stage) {
#pragma unroll
    for (int load = 0; load < Shape::kLoads; ++load) {
      const int k = Shape::Row(load);
      const bool inside = position + k < end && column < width;
      const uint16_t* from = inside ? dy + (position + k) * width + column : dy;
      uint16_t* to = stage + SharedAt<kColumns>(k, Shape::Pack());
      if constexpr (kWide) {
        CopyAsync<false>(to, from, inside);
      } else {
        cuda::Pack<uint16_t, kPack> pack;
#pragma unroll
        for (int e = 0; e < kPack; ++e) pack.v[e] = inside && column + e < width ? from[e] : 0;
        *reinterpret_cast<cuda::Pack<uint16_t, kPack>*>(to) = pack;
      }
    }
    position += kDepth;
  }
};

// A position's image and place in the output.
struct Cursor {
  int at[4];
  __device__ void Set(const Geometry& g, int64_t position) {
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      at[a + 1] = static_cast<int>(position % g.out[a]);
      position /= g.out[a];
    }
    at[0] = static_cast<int>(position);
  }
  // kDepth positions further.
  __device__ void Advance(const Geometry& g) {
    int carry = 0;
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      at[a + 1] += g.step[a + 1] + carry;
      carry = at[a + 1] >= g.out[a] ? 1 : 0;
      if (carry != 0) at[a + 1] -= g.out[a];
    }
    at[0] += g.step[0] + carry;
  }
};

// What a column of the gathered matrix reads: where its tap is from a window's first
// input, and the channel, or -1 behind the last column.
struct Column {
  int tap[3];
  int channel;
  __device__ static Column Of(const Geometry& g, int column) {
    Column c{{0, 0, 0}, column < g.columns ? column % g.channels : -1};
    int tap = column / g.channels;
#pragma unroll
    for (int a = 2; a >= 0; --a) {
      c.tap[a] = tap % g.kernel[a] * g.dilation[a] - g.pad[a];
      tap /= g.kernel[a];
    }
    return c;
  }
  // The element of x that it reads for a position, or -1.
  __device__ int64_t At(const Geometry& g, const Cursor& cursor) const {
    int64_t row = cursor.at[0];
    bool inside = channel >= 0;
#pragma unroll
    for (int a = 0; a < 3; ++a) {
      const int i = cursor.at[a + 1] * g.stride[a] + tap[a];
      inside = inside && i >= 0 && i < g.in[a];
      row = row * g.in[a] + i;
    }
    return inside ? row * g.channels + channel : -1;
  }
};

// x, gathered as [positions, columns].
template <int kColumns, bool kWide>
struct InputSide {
  using Shape = LoadShape<kColumns>;
  const Geometry& g;
  const uint16_t* x;
  const Column* table;  // Of the tile's columns; only without kWide.
  int64_t position, end;
  Column column;
  Cursor cursors[Shape::kLoads];

  __device__ InputSide(const Geometry& geometry, const void* from, const Column* columns, int first,
                       int64_t begin, int64_t stop)
      : g(geometry),
        x(static_cast<const uint16_t*>(from)),
        table(columns),
        position(begin),
        end(stop),
        column(Column::Of(geometry, first + Shape::Pack() * kPack)) {
#pragma unroll
    for (int load = 0; load < Shape::kLoads; ++load) {
      cursors[load].Set(g, begin + Shape::Row(load));
    }
  }

  __device__ void Load(uint16_t* stage) {
#pragma unroll
    for (int load = 0; load < Shape::kLoads; ++load) {
      const int k = Shape::Row(load);
      const bool inside = position + k < end;
      uint16_t* to = stage + SharedAt<kColumns>(k, Shape::Pack());
      if constexpr (kWide) {
        const int64_t at = column.At(g, cursors[load]);
        CopyAsync<true>(to, x + (at < 0 ? 0 : at), inside && at >= 0);
      } else {
        cuda::Pack<uint16_t, kPack> pack;
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          const int64_t at = table[Shape::Pack() * kPack + e].At(g, cursors[load]);
          pack.v[e] = inside && at >= 0 ? x[at] : uint16_t{0};
        }
        *reinterpret_cast<cuda::Pack<uint16_t, kPack>*>(to) = pack;
      }
      cursors[load].Advance(g);
    }
    position += kDepth;
  }
};

// Adds a stage's product to the fragments of this thread's warp.
template <typename T, typename Tile>
__device__ void MultiplyStage(const uint16_t* rows, const uint16_t* columns,
                              float (&sums)[Tile::kM][Tile::kN][4]) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int row_pack = warp % Tile::kWarpRows * (Tile::kM * 2);
  const int column_pack = warp / Tile::kWarpRows * Tile::kN;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    unsigned a[Tile::kM][4];
    unsigned b[Tile::kN / 2][4];
#pragma unroll
    for (int i = 0; i < Tile::kM; ++i) {
      LoadTransposed(a[i], [&](int lane) {
        return rows +
               SharedAt<Tile::kRows>(k + lane % 8 + lane / 16 * 8, row_pack + i * 2 + lane / 8 % 2);
      });
    }
#pragma unroll
    for (int j = 0; j < Tile::kN / 2; ++j) {
      LoadTransposed(b[j], [&](int lane) {
        return columns + SharedAt<Tile::kColumns>(k + lane % 8 + lane / 8 % 2 * 8,
                                                  column_pack + j * 2 + lane / 16);
      });
    }
    MultiplyAddTiles<T>(a, b, sums);
  }
}

// Writes the fragments to `part`, [rows, columns], or adds them, and clears them.
template <typename Tile>
__device__ void StoreSums(const Geometry& g, int first_row, int first_column, bool add, float* part,
                          float (&sums)[Tile::kM][Tile::kN][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int row0 = first_row + warp % Tile::kWarpRows * (Tile::kM * 16) + lane / 4;
  const int column0 = first_column + warp / Tile::kWarpRows * (Tile::kN * 8) + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < Tile::kM; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kN; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = row0 + i * 16 + e / 2 * 8;
        const int column = column0 + j * 8 + e % 2;
        if (row < g.rows && column < g.columns) {
          float* to = part + static_cast<int64_t>(row) * g.columns + column;
          *to = add ? *to + sums[i][j][e] : sums[i][j][e];
        }
        sums[i][j][e] = 0;
      }
    }
  }
}

// Grid: tiles, chunks. parts: [chunks, rows, columns].
template <typename T, typename Tile, bool kWideX, bool kWideY>
__global__ void __launch_bounds__(kThreads, 2)
    WeightGradKernel(const Geometry g, const void* x, const void* dy, float* parts) {
  auto* stages = reinterpret_cast<uint16_t*>(DynamicShared());
  auto* table = reinterpret_cast<Column*>(stages + kStages * Tile::kStageElements);
  const int first_row = static_cast<int>(blockIdx.x) % g.row_tiles * Tile::kRows;
  const int first_column = static_cast<int>(blockIdx.x) / g.row_tiles * Tile::kColumns;
  const int64_t begin = blockIdx.y * g.chunk;
  const int64_t end = min(g.positions, begin + g.chunk);
  if constexpr (!kWideX) {
    for (int c = static_cast<int>(threadIdx.x); c < Tile::kColumns; c += kThreads) {
      table[c] = Column::Of(g, first_column + c);
    }
    __syncthreads();
  }
  OutputSide<Tile::kRows, kWideY> rows(g, dy, first_row, begin, end);
  InputSide<Tile::kColumns, kWideX> columns(g, x, table, first_column, begin, end);
  const auto load = [&](int stage) {
    uint16_t* at = stages + stage * Tile::kStageElements;
    rows.Load(at);
    columns.Load(at + kDepth * Tile::kRows);
  };

  const int64_t steps = (end - begin + kDepth - 1) / kDepth;
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < steps) load(stage);
    EndCopies();
  }
  float sums[Tile::kM][Tile::kN][4] = {};
  float* part = parts + static_cast<int64_t>(blockIdx.y) * g.rows * g.columns;
  for (int64_t step = 0; step < steps; ++step) {
    WaitForCopies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) load(static_cast<int>((step + kStages - 1) % kStages));
    EndCopies();
    const uint16_t* at = stages + step % kStages * Tile::kStageElements;
    MultiplyStage<T, Tile>(at, at + kDepth * Tile::kRows, sums);
    constexpr int64_t kSteps = kSegment / kDepth;
    if ((step + 1) % kSteps == 0 || step + 1 == steps) {
      StoreSums<Tile>(g, first_row, first_column, step >= kSteps, part, sums);
    }
  }
}

// sum[i] = the sum of parts[., i] in fp64. Blocks of 32 elements and 8 runs of parts.
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

using KernelFunction = void (*)(Geometry, const void*, const void*, float*);

struct Variant {
  int rows = 0;
  int columns = 0;
  bool wide_x = false;  // Wants channels of x, or of dy, in multiples of kPack.
  bool wide_y = false;
  int shared_bytes = 0;
  KernelFunction kernel = nullptr;
};

template <typename T, typename Tile, bool kWideX = true, bool kWideY = true>
Variant MakeVariant() {
  return {Tile::kRows, Tile::kColumns, kWideX,
          kWideY,      Tile::kBytes,   WeightGradKernel<T, Tile, kWideX, kWideY>};
}

template <typename T>
std::array<Variant, 9> Variants() {
  using Any = Tile<64, 128, 2>;
  return {MakeVariant<T, Tile<64, 64, 2>>(),  MakeVariant<T, Tile<128, 64, 4>>(),
          MakeVariant<T, Tile<64, 128, 2>>(), MakeVariant<T, Tile<128, 128, 2>>(),
          MakeVariant<T, Tile<256, 64, 4>>(), MakeVariant<T, Tile<64, 256, 1>>(),
          MakeVariant<T, Any, false, true>(), MakeVariant<T, Any, true, false>(),
          MakeVariant<T, Any, false, false>()};
}

// How a problem is cut. Depends on sizes alone, so that bits do not depend on the device.
struct Cut {
  Variant variant;
  int64_t chunk = 0;
  int64_t chunks = 0;
};

constexpr double kBlocks = 264;           // At a time: two on each of an H100's 132.
constexpr double kMultiplyRate = 450e12;  // FLOP/s of all blocks.
constexpr double kLoadRate = 6e12;        // Bytes/s into shared memory.
constexpr double kStoreRate = 2e12;       // Of parts, written and read.
constexpr Bytes kMostPartBytes = Bytes{128} << 20;
constexpr int64_t kMostChunks = 4096;
constexpr int64_t kLeastChunk = 512;
constexpr double kPrologue = 12;  // Stages that starting a block takes.

double TileCount(const Geometry& g, const Variant& v) {
  return static_cast<double>(CeilDiv(g.rows, v.rows) * CeilDiv(g.columns, v.columns));
}

// Of one position in all tiles.
double PositionSeconds(const Geometry& g, const Variant& v) {
  const double tile =
      std::max(2.0 * v.rows * v.columns / kMultiplyRate, 2.0 * (v.rows + v.columns) / kLoadRate);
  return TileCount(g, v) * tile;
}

double CutSeconds(const Geometry& g, const Variant& v, int64_t chunks) {
  const double tiles = TileCount(g, v);
  const double stages = static_cast<double>(CeilDiv(CeilDiv(g.positions, chunks), kDepth));
  const double rounds = std::ceil(tiles * static_cast<double>(chunks) / kBlocks);
  const double stage = PositionSeconds(g, v) / tiles * kDepth * kBlocks;
  const double part_bytes = 8.0 * g.rows * g.columns * static_cast<double>(chunks);
  return rounds * (stages + kPrologue) * stage + part_bytes / kStoreRate;
}

template <typename T>
Cut ChooseCut(const Geometry& g) {
  Cut cut;
  for (const Variant& v : Variants<T>()) {
    if (v.wide_x != (g.channels % kPack == 0) || v.wide_y != (g.rows % kPack == 0)) continue;
    if (cut.variant.kernel != nullptr && PositionSeconds(g, cut.variant) <= PositionSeconds(g, v)) {
      continue;
    }
    cut.variant = v;
  }
  const Bytes part_bytes = Bytes{g.rows} * g.columns * Bytes{sizeof(float)};
  const int64_t most = std::clamp<int64_t>(
      std::min(kMostPartBytes / part_bytes, CeilDiv(g.positions, kLeastChunk)), 1, kMostChunks);
  int64_t best = 1;
  for (int64_t chunks = 2; chunks <= most; ++chunks) {
    if (CutSeconds(g, cut.variant, chunks) < CutSeconds(g, cut.variant, best)) best = chunks;
  }
  cut.chunk = AlignUp(CeilDiv(g.positions, best), kDepth);
  cut.chunks = CeilDiv(g.positions, cut.chunk);
  return cut;
}

// Success and the sizes as ints where they fit.
bool ReadGeometry(const Window& w, Geometry& g) {
  constexpr int64_t kMost = int64_t{1} << 30;
  const int64_t columns = w.KernelPositions() * w.in_channels;
  if (columns > kMost || w.out_channels > kMost || w.batch > kMost) return false;
  g.positions = w.batch * w.OutPositions();
  g.rows = static_cast<int>(w.out_channels);
  g.columns = static_cast<int>(columns);
  g.channels = static_cast<int>(w.in_channels);
  int64_t rest = kDepth;
  for (size_t a = 3; a-- > 0;) {
    const int64_t reach = w.out[a] * w.stride[a] + w.kernel[a] * w.dilation[a];
    if (reach > kMost || w.in[a] > kMost || w.pad_begin[a] > kMost) return false;
    g.in[a] = static_cast<int>(w.in[a]);
    g.out[a] = static_cast<int>(w.out[a]);
    g.kernel[a] = static_cast<int>(w.kernel[a]);
    g.stride[a] = static_cast<int>(w.stride[a]);
    g.dilation[a] = static_cast<int>(w.dilation[a]);
    g.pad[a] = static_cast<int>(w.pad_begin[a]);
    g.step[a + 1] = static_cast<int>(rest % w.out[a]);
    rest /= w.out[a];
  }
  g.step[0] = static_cast<int>(rest);
  return true;
}

}  // namespace

KernelResult MakeWeightGrad(const LaunchSpec& launch, const Window& window, Context& context) {
  Geometry g{};
  if (window.batch * window.OutPositions() == 0) return CompileError(launch, "dy is empty");
  if (!ReadGeometry(window, g)) return CompileError(launch, "a size is above 2^30");
  const bool half = launch.inputs[0].dtype == DType::kF16;
  const Cut cut = half ? ChooseCut<__half>(g) : ChooseCut<__nv_bfloat16>(g);
  g.chunk = cut.chunk;
  g.row_tiles = static_cast<int>(CeilDiv(g.rows, cut.variant.rows));
  const dim3 grid(static_cast<unsigned>(TileCount(g, cut.variant)),
                  static_cast<unsigned>(cut.chunks));
  const KernelFunction kernel = cut.variant.kernel;
  WSI_RETURN_IF_CUDA_ERROR(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                cut.variant.shared_bytes));
  const int64_t count = int64_t{g.rows} * g.columns;
  if (cut.chunks > 1) {
    WSI_RETURN_IF_ERROR(
        context.scratch.Require(cut.chunks * count * static_cast<Bytes>(sizeof(float))));
  }
  return MakeKernel([=, &context](const LaunchArguments& a) {
    auto* dw = a.output<float>(0);
    float* parts = cut.chunks > 1 ? context.scratch.at<float>(0) : dw;
    kernel<<<grid, kThreads, cut.variant.shared_bytes, context.stream>>>(g, a.inputs[0],
                                                                         a.inputs[1], parts);
    if (cut.chunks > 1) {
      const auto blocks = static_cast<unsigned>(CeilDiv(count, 32));
      SumParts<<<blocks, dim3(32, 8), 0, context.stream>>>(parts, count, cut.chunks, dw);
    }
    return LaunchStatus();
  });
}

}  // namespace wsi::cuda
