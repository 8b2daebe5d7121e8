// Global pooling over channels-last tensors: one value per image and channel.
#include <algorithm>
#include <limits>

#include "runtime/backends/cpu/channel_sums.h"
#include "runtime/backends/cpu/pooling.h"
#include "runtime/backends/cpu/sums.h"
#include "runtime/base/band.h"

namespace wsi::cpu {
namespace {

struct Geometry {
  int64_t images = 0;
  int64_t positions = 0;  // Of one image.
  int64_t channels = 0;
};

// `x` is N, spatial..., C and `y` the same with spatial sizes 1.
Result<Geometry> MakeGeometry(const LaunchSpec& launch, const Shape& x, const Shape& y) {
  if (x.rank() < 3 || x.ElementCount() == 0) {
    return CompileError(launch, "wants a non-empty tensor with spatial axes");
  }
  std::vector<int64_t> pooled(static_cast<size_t>(x.rank()), 1);
  pooled.front() = x[0];
  pooled.back() = x[-1];
  WSI_ASSIGN_OR_RETURN(const Shape expected, Shape::Make(pooled));
  if (y != expected) {
    return CompileError(launch,
                        "pooled shape is " + y.ToString() + ", expected " + expected.ToString());
  }
  return Geometry{.images = x[0], .positions = x.ElementCount() / x[0] / x[-1], .channels = x[-1]};
}

Result<Geometry> GradGeometry(const LaunchSpec& launch) {
  WSI_ASSIGN_OR_RETURN(const Shape x, Shape::Make(launch.attributes.Ints("input_shape")));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, x));
  return MakeGeometry(launch, x, launch.inputs[0].shape);
}

// Channels that one chunk of a global maximum looks at: a run of cache lines.
constexpr int64_t kChannelBlock = 64;

template <typename T>
KernelResult AveragePool(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>()));
  WSI_ASSIGN_OR_RETURN(const Geometry g,
                       MakeGeometry(launch, launch.inputs[0].shape, launch.outputs[0].shape));
  const MiddleSum sum(g.images, g.positions, g.channels);
  WSI_RETURN_IF_ERROR(sum.Require(context.scratch));
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, launch.inputs[0].shape));
  const double factor = 1.0 / (static_cast<double>(band.CountInWhole(g.positions)));
  return MakeKernel([sum, factor, &context](const LaunchArguments& a) {
    sum.Run(context, a.input<T>(0), factor, a.output<T>(0));
  });
}

template <typename T>
KernelResult AveragePoolGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Geometry g, GradGeometry(launch));
  const Chunks chunks = ChunksOf(g.images * g.positions, g.channels, kGrain);
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, launch.outputs[0].shape));
  const double positions = static_cast<double>(band.CountInWhole(g.positions));
  const float factor = static_cast<float>(1.0 / positions);
  return MakeKernel([g, chunks, factor, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t p = begin; p < end; ++p) {
        T* dx = a.output<T>(0) + p * g.channels;
        if (p > begin && p % g.positions != 0) {  // As the position before.
          std::copy(dx - g.channels, dx, dx);
          continue;
        }
        const T* dy = a.input<T>(0) + p / g.positions * g.channels;
        for (int64_t c = 0; c < g.channels; ++c) Store(Load(dy[c]) * factor, dx[c]);
      }
    });
  });
}

// The index is the flat spatial position of the maximum, the lowest one on ties.
template <typename T>
KernelResult MaxPool(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 2));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>()));
  const Shape& y_shape = launch.outputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Geometry g, MakeGeometry(launch, launch.inputs[0].shape, y_shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kI64, y_shape));
  const int64_t blocks = CeilDiv(g.channels, kChannelBlock);
  if (g.images * blocks > ThreadPool::kMaxChunks) return CompileError(launch, "too many channels");
  return MakeKernel([g, blocks, &context](const LaunchArguments& a) {
    context.pool.ParallelFor(g.images * blocks, [&](int64_t chunk, int) {
      const int64_t n = chunk / blocks;
      const int64_t first = chunk % blocks * kChannelBlock;
      const int64_t width = std::min(kChannelBlock, g.channels - first);
      float best[kChannelBlock];
      int64_t index[kChannelBlock] = {};
      const T* x = a.input<T>(0) + n * g.positions * g.channels + first;
      for (int64_t c = 0; c < width; ++c) best[c] = Load(x[c]);
      for (int64_t p = 1; p < g.positions; ++p) {
        const T* row = x + p * g.channels;
        for (int64_t c = 0; c < width; ++c) {
          const float v = Load(row[c]);
          const bool wins = v > best[c] || (v != v && best[c] == best[c]);
          best[c] = wins ? v : best[c];
          index[c] = wins ? p : index[c];
        }
      }
      const int64_t at = n * g.channels + first;
      for (int64_t c = 0; c < width; ++c) Store(best[c], a.output<T>(0)[at + c]);
      if (int64_t* out = a.output<int64_t>(1)) std::copy(index, index + width, out + at);
    });
  });
}

// Inputs: dy, index.
template <typename T>
KernelResult MaxPoolGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Geometry g, GradGeometry(launch));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kI64, launch.inputs[0].shape));
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, launch.outputs[0].shape));
  const Chunks chunks = ChunksOf(g.images * g.positions, g.channels, kGrain);
  return MakeKernel([g, chunks, band, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t from = p / g.positions * g.channels;
        const int64_t position = band.WholeIndex(p % g.positions * g.channels) / g.channels;
        T* dx = a.output<T>(0) + p * g.channels;
        for (int64_t c = 0; c < g.channels; ++c) {
          dx[c] = a.input<int64_t>(1)[from + c] == position ? a.input<T>(0)[from + c] : T{};
        }
      }
    });
  });
}

}  // namespace

KernelResult CompileGlobalAveragePool(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(AveragePool);
}
KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(AveragePoolGrad);
}
KernelResult CompileGlobalMaxPool(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(MaxPool);
}
KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(MaxPoolGrad);
}

}  // namespace wsi::cpu
