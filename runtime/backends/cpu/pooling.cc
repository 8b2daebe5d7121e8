#include "runtime/backends/cpu/pooling.h"

#include <algorithm>
#include <limits>

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/loops/pooling_loops.h"
#include "runtime/backends/cpu/taps.h"
#include "runtime/base/band.h"

namespace wsi::cpu {
namespace {

// The number that an average is divided by: the taps inside the input, or with
// count_include_pad those inside the input and its padding.
double Divisor(const Window& w, const Position& p, bool include_pad) {
  double divisor = 1;
  for (size_t d = 0; d < 3; ++d) {
    WindowAxis axis = w.axes[d];
    if (include_pad) {
      axis.input += axis.pad_begin + axis.pad_end;
      axis.pad_begin = 0;
    }
    const Taps taps = TapsOf(axis, p.i[d]);
    divisor *= static_cast<double>(taps.last - taps.first);
  }
  return std::max(divisor, 1.0);
}

// The windows over `band` as windows over the whole, whose divisors they have.
Window InWhole(Window w, const BandOfWhole& band, int rank) {
  if (band.is_whole() || band.axis() < 1 || band.axis() >= rank - 1) return w;
  WindowAxis& axis = w.axes[static_cast<size_t>(3 - (rank - 2) + band.axis() - 1)];
  axis.input = band.size();
  axis.pad_begin -= band.begin();
  return w;
}

Result<Shape> InputShape(const LaunchSpec& launch) {
  const auto sizes = launch.attributes.Ints("input_shape");
  WSI_ASSIGN_OR_RETURN(Shape shape, Shape::Make(sizes));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  return shape;
}

// Minus infinity.
template <typename T>
T LowestOf() {
  if constexpr (std::is_same_v<T, float>) {
    return -std::numeric_limits<float>::infinity();
  } else {
    return {.bits = static_cast<uint16_t>(std::is_same_v<T, Half> ? 0xFC00U : 0xFF80U)};
  }
}

DType IndexType(const Window& w) { return w.kernel_volume() <= 256 ? DType::kU8 : DType::kI32; }

template <typename T>
KernelResult MaxPool(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 2));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>()));
  const Shape& y_shape = launch.outputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Window w, Window::Make(launch, launch.inputs[0].shape, y_shape));
  if (y_shape[-1] != w.channels) return CompileError(launch, "channels differ");
  const bool wide = IndexType(w) == DType::kI32;
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, IndexType(w), y_shape));
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, w.channels * 4));
  const Chunks chunks = ChunksOf(w.output_positions(), w.channels * w.kernel_volume(), kGrain);
  return MakeKernel([w, wide, chunks, &context](const LaunchArguments& a) {
    const auto& loops = GetPoolingLoops().Of<T>();
    const T* x = a.input<T>(0);
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      int32_t* scratch = context.scratch.worker<int32_t>(worker);
      for (int64_t o = begin; o < end; ++o) {
        T* best = a.output<T>(0) + o * w.channels;
        int32_t* index = a.output<int32_t>(1);
        index = wide && index != nullptr ? index + o * w.channels : scratch;
        bool first = true;
        ForEachTap(w, PositionOf(o, OutputSizes(w)), [&](int64_t in, int32_t tap) {
          const T* from = x + in * w.channels;
          if (first) {
            std::copy(from, from + w.channels, best);
            std::fill(index, index + w.channels, tap);
            first = false;
          } else {
            loops.max_step(from, w.channels, tap, best, index);
          }
        });
        if (first) {  // A window of nothing but padding.
          std::fill(best, best + w.channels, LowestOf<T>());
          std::fill(index, index + w.channels, 0);
        }
        uint8_t* narrow = a.output<uint8_t>(1);
        if (!wide && narrow != nullptr) loops.narrow(index, w.channels, narrow + o * w.channels);
      }
    });
  });
}

// Inputs: dy, index.
template <typename T>
KernelResult MaxPoolGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& y_shape = launch.inputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Shape x_shape, InputShape(launch));
  WSI_ASSIGN_OR_RETURN(const Window w, Window::Make(launch, x_shape, y_shape));
  if (y_shape[-1] != w.channels) return CompileError(launch, "channels differ");
  const bool wide = IndexType(w) == DType::kI32;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, IndexType(w), y_shape));
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, w.channels * 4));
  const Chunks chunks = ChunksOf(w.input_positions(), w.channels * 2, kGrain);
  return MakeKernel([w, wide, chunks, &context](const LaunchArguments& a) {
    const auto& loops = GetPoolingLoops().Of<T>();
    const T* dy = a.input<T>(0);
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      for (int64_t i = begin; i < end; ++i) {
        T* row = a.output<T>(0) + i * w.channels;
        float* dx = RowSums(row, context.scratch.worker<float>(worker));
        std::fill(dx, dx + w.channels, 0.0F);
        ForEachWindow(
            w, PositionOf(i, InputSizes(w)), [&](const Position&, int64_t o, int32_t tap) {
              const int64_t at = o * w.channels;
              if (wide) {
                loops.max_grad_i32(dy + at, a.input<int32_t>(1) + at, w.channels, tap, dx);
              } else {
                loops.max_grad_u8(dy + at, a.input<uint8_t>(1) + at, w.channels, tap, dx);
              }
            });
        StoreRow(dx, w.channels, row);
      }
    });
  });
}

template <typename T>
KernelResult AveragePool(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>()));
  const Shape& y_shape = launch.outputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Window w, Window::Make(launch, launch.inputs[0].shape, y_shape));
  if (y_shape[-1] != w.channels) return CompileError(launch, "channels differ");
  const bool include_pad = launch.attributes.Int("count_include_pad", 0) != 0;
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, w.channels * 4));
  const Chunks chunks = ChunksOf(w.output_positions(), w.channels * w.kernel_volume(), kGrain);
  return MakeKernel([w, include_pad, chunks, &context](const LaunchArguments& a) {
    const auto& loops = GetPoolingLoops().Of<T>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      for (int64_t o = begin; o < end; ++o) {
        const Position p = PositionOf(o, OutputSizes(w));
        T* row = a.output<T>(0) + o * w.channels;
        float* y = RowSums(row, context.scratch.worker<float>(worker));
        std::fill(y, y + w.channels, 0.0F);
        const float factor = static_cast<float>(1.0 / Divisor(w, p, include_pad));
        ForEachTap(w, p, [&](int64_t in, int32_t) {
          loops.add_scaled(a.input<T>(0) + in * w.channels, w.channels, factor, y);
        });
        StoreRow(y, w.channels, row);
      }
    });
  });
}

template <typename T>
KernelResult AveragePoolGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const Shape& y_shape = launch.inputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const Shape x_shape, InputShape(launch));
  WSI_ASSIGN_OR_RETURN(const Window w, Window::Make(launch, x_shape, y_shape));
  if (y_shape[-1] != w.channels) return CompileError(launch, "channels differ");
  const bool include_pad = launch.attributes.Int("count_include_pad", 0) != 0;
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, w.channels * 4));
  const Chunks chunks = ChunksOf(w.input_positions(), w.channels * 2, kGrain);
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band, BandOfWhole::Read(launch.attributes, x_shape));
  // A band's pads are positions of the whole, which are counted without padding too.
  const Window counted = include_pad ? w : InWhole(w, band, x_shape.rank());
  return MakeKernel([w, counted, include_pad, chunks, &context](const LaunchArguments& a) {
    const auto& loops = GetPoolingLoops().Of<T>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      for (int64_t i = begin; i < end; ++i) {
        T* row = a.output<T>(0) + i * w.channels;
        float* dx = RowSums(row, context.scratch.worker<float>(worker));
        std::fill(dx, dx + w.channels, 0.0F);
        ForEachWindow(w, PositionOf(i, InputSizes(w)), [&](const Position& p, int64_t o, int32_t) {
          const float factor = static_cast<float>(1.0 / Divisor(counted, p, include_pad));
          loops.add_scaled(a.input<T>(0) + o * w.channels, w.channels, factor, dx);
        });
        StoreRow(dx, w.channels, row);
      }
    });
  });
}

}  // namespace

KernelResult CompileMaxPool(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(MaxPool);
}
KernelResult CompileMaxPoolGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(MaxPoolGrad);
}
KernelResult CompileAveragePool(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(AveragePool);
}
KernelResult CompileAveragePoolGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(AveragePoolGrad);
}

}  // namespace wsi::cpu
