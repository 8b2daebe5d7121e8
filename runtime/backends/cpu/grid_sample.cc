#include "runtime/backends/cpu/grid_sample.h"

#include <algorithm>
#include <type_traits>

#include "runtime/backends/cpu/grid_taps.h"

namespace wsi::cpu {
namespace {

struct Sampling {
  GridRule rule;
  int axes = 0;
  std::array<int64_t, kMaxGridAxes> sizes{};  // Of x's spatial axes.
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t plane = 1;      // Elements of a channel of x,
  int64_t positions = 1;  // and of y.

  // For position `at` of all samples' positions.
  template <typename T>
  void Read(const T* grid, int64_t at, GridTaps& taps) const {
    std::array<double, kMaxGridAxes> numbers{};
    for (int a = 0; a < axes; ++a) {
      numbers[static_cast<size_t>(a)] = static_cast<double>(grid[at * axes + a]);
    }
    taps.Read(rule, axes, sizes, numbers);
  }
};

Result<GridRule> ReadRule(const LaunchSpec& launch) {
  GridRule rule;
  const std::string mode = launch.attributes.String("mode", "linear");
  const std::string padding = launch.attributes.String("padding_mode", "zeros");
  if (mode == "nearest") {
    rule.mode = GridMode::kNearest;
  } else if (mode == "cubic") {
    rule.mode = GridMode::kCubic;
  } else if (mode != "linear") {
    return CompileError(launch, "attribute mode is none of linear, nearest, cubic");
  }
  if (padding == "border") {
    rule.padding = GridPadding::kBorder;
  } else if (padding == "reflection") {
    rule.padding = GridPadding::kReflection;
  } else if (padding != "zeros") {
    return CompileError(launch, "attribute padding_mode is none of zeros, border, reflection");
  }
  rule.align_corners = launch.attributes.Int("align_corners", 0) == 1;
  return rule;
}

Result<Sampling> ReadSampling(const LaunchSpec& launch, const Shape& x, const Shape& y,
                              const Shape& grid) {
  Sampling s;
  WSI_ASSIGN_OR_RETURN(s.rule, ReadRule(launch));
  const int rank = x.rank();
  bool fits = rank >= 3 && rank <= 2 + kMaxGridAxes && y.rank() == rank && grid.rank() == rank;
  fits = fits && y[0] == x[0] && y[1] == x[1] && grid[0] == x[0] && grid[rank - 1] == rank - 2;
  for (int a = 2; fits && a < rank; ++a) {
    fits = grid[a - 1] == y[a] && x[a] > 0;
    s.sizes[static_cast<size_t>(a - 2)] = x[a];
    s.plane *= x[a];
    s.positions *= y[a];
  }
  if (!fits) return CompileError(launch, "the grid does not lead from one tensor to the other");
  s.axes = rank - 2;
  s.batch = x[0];
  s.channels = x[1];
  return s;
}

template <typename T>
KernelResult Forward(const Sampling& s, Context& context) {
  const Chunks chunks = ChunksOf(s.batch * s.positions, s.channels * kMaxGridTaps, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      GridTaps taps;
      for (int64_t at = begin; at < end; ++at) {
        s.Read(a.input<T>(1), at, taps);
        const int64_t first = at / s.positions * s.channels;
        for (int64_t c = first; c < first + s.channels; ++c) {
          const T* x = a.input<T>(0) + c * s.plane;
          double sum = 0;
          for (size_t i = 0; i < static_cast<size_t>(taps.count); ++i) {
            sum += taps.weight[i] * static_cast<double>(x[taps.offset[i]]);
          }
          a.output<T>(0)[c * s.positions + at % s.positions] = static_cast<T>(sum);
        }
      }
    });
  });
}

// Channels are apart, so that what is added to one element keeps its order.
template <typename T>
KernelResult InputGrad(const Sampling& s, Context& context) {
  const int64_t groups = std::min<int64_t>(s.channels, 16);
  const Chunks channels{s.channels, CeilDiv(s.channels, std::max<int64_t>(groups, 1))};
  return MakeKernel([=, &context](const LaunchArguments& a) {
    context.pool.ParallelFor(s.batch * channels.count(), [&](int64_t chunk, int) {
      const int64_t n = chunk / channels.count();
      const int64_t begin = n * s.channels + channels.begin(chunk % channels.count());
      const int64_t end = n * s.channels + channels.end(chunk % channels.count());
      std::fill(a.output<T>(0) + begin * s.plane, a.output<T>(0) + end * s.plane, T{0});
      GridTaps taps;
      for (int64_t p = 0; p < s.positions; ++p) {
        s.Read(a.input<T>(1), n * s.positions + p, taps);
        for (int64_t c = begin; c < end; ++c) {
          const auto dy = static_cast<double>(a.input<T>(0)[c * s.positions + p]);
          T* dx = a.output<T>(0) + c * s.plane;
          for (size_t i = 0; i < static_cast<size_t>(taps.count); ++i) {
            dx[taps.offset[i]] += static_cast<T>(taps.weight[i] * dy);
          }
        }
      }
    });
  });
}

template <typename T>
KernelResult GridGrad(const Sampling& s, Context& context) {
  const Chunks chunks = ChunksOf(s.batch * s.positions, s.channels * kMaxGridTaps, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      GridTaps taps;
      for (int64_t at = begin; at < end; ++at) {
        s.Read(a.input<T>(2), at, taps);
        std::array<double, kMaxGridAxes> sums{};
        const int64_t first = at / s.positions * s.channels;
        for (int64_t c = first; c < first + s.channels; ++c) {
          const T* x = a.input<T>(1) + c * s.plane;
          const auto dy = static_cast<double>(a.input<T>(0)[c * s.positions + at % s.positions]);
          for (size_t i = 0; i < static_cast<size_t>(taps.count); ++i) {
            const double term = dy * static_cast<double>(x[taps.offset[i]]);
            for (size_t by = 0; by < kMaxGridAxes; ++by) sums[by] += term * taps.slope[by][i];
          }
        }
        for (int by = 0; by < s.axes; ++by) {
          a.output<T>(0)[at * s.axes + s.axes - 1 - by] =
              static_cast<T>(sums[static_cast<size_t>(by)]);
        }
      }
    });
  });
}

// compile(T()) for operands that are all f32, or all f64.
template <typename F>
KernelResult ByType(const LaunchSpec& launch, const F& compile) {
  const DType dtype = launch.inputs[0].dtype;
  for (size_t i = 1; i < launch.inputs.size(); ++i) {
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, dtype));
  }
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, dtype));
  if (dtype == DType::kF64) return compile(double());
  if (dtype == DType::kF32) return compile(float());
  return CompileError(launch, "wants f32 or f64");
}

}  // namespace

KernelResult CompileGridSample(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Sampling s,
                       ReadSampling(launch, launch.inputs[0].shape, launch.outputs[0].shape,
                                    launch.inputs[1].shape));
  return ByType(launch, [&]<typename T>(T) { return Forward<T>(s, context); });
}

KernelResult CompileGridSampleGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Sampling s,
                       ReadSampling(launch, launch.outputs[0].shape, launch.inputs[0].shape,
                                    launch.inputs[1].shape));
  return ByType(launch, [&]<typename T>(T) { return InputGrad<T>(s, context); });
}

KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[2].dtype, launch.inputs[2].shape));
  WSI_ASSIGN_OR_RETURN(
      const Sampling s,
      ReadSampling(launch, launch.inputs[1].shape, launch.inputs[0].shape, launch.inputs[2].shape));
  return ByType(launch, [&]<typename T>(T) { return GridGrad<T>(s, context); });
}

}  // namespace wsi::cpu
