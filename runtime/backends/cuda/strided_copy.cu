#include "runtime/backends/cuda/strided_copy.cuh"

namespace wsi::cuda {
namespace {

constexpr int64_t kLeastTileSide = 8;

template <typename Unit>
__global__ void CopyKernel(Axes<2> axes, int64_t count, const Unit* from, Unit* to) {
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    int64_t at[2];
    axes.Locate(i, at);
    to[at[1]] = from[at[0]];
  }
}

template <typename Unit>
void CopyAs(const Axes<2>& axes, const std::byte* from, std::byte* to, cudaStream_t stream) {
  const int64_t count = axes.Count();
  if (count == 0) return;
  CopyKernel<Unit><<<GridFor(count), kThreads, 0, stream>>>(
      axes, count, reinterpret_cast<const Unit*>(from), reinterpret_cast<Unit*>(to));
}

// Planes of which rows are read along axis r and written along axis l.
struct Tiles {
  Axes<2> planes;
  int64_t plane_count = 1;
  int64_t r_size = 1;
  int64_t l_size = 1;
  int64_t read_step = 1;   // From one l to the next in what is read,
  int64_t write_step = 1;  // from one r to the next in what is written.
};

// V elements an access; both sizes, all strides and starts are multiples of V. Blocks of 32
// by 8 threads move tiles of 32 * V by 32 * V.
template <typename T, int V>
__global__ void TileKernel(Tiles t, const T* from, T* to) {
  constexpr int kSide = 32 * V;
  constexpr int kPad = sizeof(T) < 4 ? 4 / static_cast<int>(sizeof(T)) : 1;
  __shared__ T tile[kSide][kSide + kPad];
  const int64_t r_tiles = (t.r_size + kSide - 1) / kSide;
  const int64_t l_tiles = (t.l_size + kSide - 1) / kSide;
  const int x = static_cast<int>(threadIdx.x) * V;
  for (int64_t i = blockIdx.x; i < t.plane_count * r_tiles * l_tiles; i += gridDim.x) {
    int64_t at[2];
    t.planes.Locate(i / r_tiles / l_tiles, at);
    const int64_t r = i % r_tiles * kSide;
    const int64_t l = i / r_tiles % l_tiles * kSide;
    __syncthreads();  // Of the tile before, all have read.
#pragma unroll 8
    for (int y = static_cast<int>(threadIdx.y); y < kSide; y += 8) {
      if (l + y >= t.l_size || r + x >= t.r_size) continue;
      const Pack<T, V> pack =
          *reinterpret_cast<const Pack<T, V>*>(from + at[0] + (l + y) * t.read_step + r + x);
#pragma unroll
      for (int v = 0; v < V; ++v) tile[y][x + v] = pack.v[v];
    }
    __syncthreads();
#pragma unroll 8
    for (int y = static_cast<int>(threadIdx.y); y < kSide; y += 8) {
      if (r + y >= t.r_size || l + x >= t.l_size) continue;
      Pack<T, V> pack;
#pragma unroll
      for (int v = 0; v < V; ++v) pack.v[v] = tile[x + v][y];
      *reinterpret_cast<Pack<T, V>*>(to + at[1] + (r + y) * t.write_step + l + x) = pack;
    }
  }
}

// `axis`: r; the last axis is l.
Tiles TilesOf(const Axes<2>& axes, int axis) {
  Tiles t;
  const int last = axes.rank - 1;
  for (int n = 0; n < 2; ++n) t.planes.start[n] = axes.start[n];
  for (int i = 0; i < last; ++i) {
    if (i == axis) continue;
    const int to = t.planes.rank++;
    t.planes.sizes[to] = axes.sizes[i];
    for (int n = 0; n < 2; ++n) t.planes.strides[n][to] = axes.strides[n][i];
  }
  t.plane_count = t.planes.Count();
  t.r_size = axes.sizes[axis];
  t.l_size = axes.sizes[last];
  t.read_step = axes.strides[0][last];
  t.write_step = axes.strides[1][axis];
  return t;
}

bool AllMultiples(const Tiles& t, int64_t v) {
  bool all =
      t.r_size % v == 0 && t.l_size % v == 0 && t.read_step % v == 0 && t.write_step % v == 0;
  for (int n = 0; n < 2; ++n) {
    all = all && t.planes.start[n] % v == 0;
    for (int i = 0; i < t.planes.rank; ++i) all = all && t.planes.strides[n][i] % v == 0;
  }
  return all;
}

template <typename T, int V>
void RunTiles(const Tiles& t, const std::byte* from, std::byte* to, cudaStream_t stream) {
  const int64_t side = 32 * V;
  const int64_t tiles = t.plane_count * CeilDiv(t.r_size, side) * CeilDiv(t.l_size, side);
  if (tiles == 0) return;
  TileKernel<T, V><<<GridFor(tiles, 1), dim3(32, 8), 0, stream>>>(
      t, reinterpret_cast<const T*>(from), reinterpret_cast<T*>(to));
}

// Four bytes an access where the tensors allow.
template <typename T>
void TileAs(const Axes<2>& axes, int axis, const std::byte* from, std::byte* to,
            cudaStream_t stream) {
  const Tiles t = TilesOf(axes, axis);
  constexpr int kMost = sizeof(T) < 4 ? 4 / static_cast<int>(sizeof(T)) : 1;
  if (AllMultiples(t, kMost)) {
    RunTiles<T, kMost>(t, from, to, stream);
  } else {
    RunTiles<T, 1>(t, from, to, stream);
  }
}

}  // namespace

StridedCopy::StridedCopy(const Axes<2>& axes, Bytes element) : axes_(axes), unit_(element) {
  tile_axis_ = TileAxis();
  if (axes_.rank == 0 || axes_.strides[0][axes_.rank - 1] != 1 ||
      axes_.strides[1][axes_.rank - 1] != 1) {
    return;
  }
  while (unit_ < 16 && CanDouble()) Double();
}

void StridedCopy::Run(const std::byte* from, std::byte* to, cudaStream_t stream) const {
  if (tile_axis_ >= 0) {
    switch (unit_) {
      case 8: return TileAs<uint64_t>(axes_, tile_axis_, from, to, stream);
      case 4: return TileAs<uint32_t>(axes_, tile_axis_, from, to, stream);
      case 2: return TileAs<uint16_t>(axes_, tile_axis_, from, to, stream);
      default: return TileAs<uint8_t>(axes_, tile_axis_, from, to, stream);
    }
  }
  switch (unit_) {
    case 16: return CopyAs<uint4>(axes_, from, to, stream);
    case 8: return CopyAs<uint64_t>(axes_, from, to, stream);
    case 4: return CopyAs<uint32_t>(axes_, from, to, stream);
    case 2: return CopyAs<uint16_t>(axes_, from, to, stream);
    default: return CopyAs<uint8_t>(axes_, from, to, stream);
  }
}

int StridedCopy::TileAxis() const {
  const int last = axes_.rank - 1;
  if (last < 1 || axes_.strides[1][last] != 1 || axes_.sizes[last] < kLeastTileSide) return -1;
  if (axes_.strides[0][last] == 1) return -1;
  for (int i = 0; i < last; ++i) {
    if (axes_.strides[0][i] == 1 && axes_.sizes[i] >= kLeastTileSide) return i;
  }
  return -1;
}

bool StridedCopy::CanDouble() const {
  const int last = axes_.rank - 1;
  bool even = axes_.sizes[last] % 2 == 0;
  for (int n = 0; n < 2; ++n) {
    even = even && axes_.start[n] % 2 == 0;
    for (int i = 0; i < last; ++i) even = even && axes_.strides[n][i] % 2 == 0;
  }
  return even;
}

void StridedCopy::Double() {
  const int last = axes_.rank - 1;
  axes_.sizes[last] /= 2;
  for (int n = 0; n < 2; ++n) {
    axes_.start[n] /= 2;
    for (int i = 0; i < last; ++i) axes_.strides[n][i] /= 2;
  }
  unit_ *= 2;
}

}  // namespace wsi::cuda
