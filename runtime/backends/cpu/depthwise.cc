// Depthwise convolutions: weights are transposed to taps x channels, and every
// position gathers its taps.
#include <vector>

#include "runtime/backends/cpu/convolution.h"
#include "runtime/backends/cpu/loops/depthwise_loops.h"
#include "runtime/backends/cpu/taps.h"

namespace wsi::cpu {
namespace {

// fp32 additions into one weight gradient before it goes into an fp64 total.
constexpr int64_t kPartialPositions = 1024;

// w[c][t] -> out[t][c].
template <typename T>
void TransposeWeights(const T* w, int64_t taps, int64_t channels, float* out) {
  for (int64_t t = 0; t < taps; ++t) {
    for (int64_t c = 0; c < channels; ++c) out[t * channels + c] = Load(w[c * taps + t]);
  }
}

// Per worker: two lists of pointers, one entry a tap.
template <typename T>
struct Pointers {
  const T** a;
  const float** b;
  Pointers(const Scratch& scratch, int worker, int64_t taps)
      : a(scratch.worker<const T*>(worker)), b(reinterpret_cast<const float**>(a + taps)) {}
};

template <typename T>
KernelResult CompileForward(const Window& w, Context& context) {
  const int64_t taps = w.kernel_volume();
  WSI_RETURN_IF_ERROR(context.scratch.Require(taps * w.channels * 4, taps * 16));
  const Chunks chunks = ChunksOf(w.output_positions(), w.channels * 4, kGrain);
  return MakeKernel([w, taps, chunks, &context](const LaunchArguments& a) {
    float* weights = context.scratch.shared<float>();
    TransposeWeights(a.input<T>(1), taps, w.channels, weights);
    const auto& loops = GetDepthwiseLoops().Of<T>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      const Pointers<T> pointers(context.scratch, worker, taps);
      for (int64_t o = begin; o < end; ++o) {
        int64_t count = 0;
        ForEachTap(w, PositionOf(o, OutputSizes(w)), [&](int64_t in, int32_t tap) {
          pointers.a[count] = a.input<T>(0) + in * w.channels;
          pointers.b[count++] = weights + tap * w.channels;
        });
        loops.gather(pointers.a, pointers.b, count, a.input<T>(2), w.channels,
                     a.output<T>(0) + o * w.channels);
      }
    });
  });
}

template <typename T>
KernelResult CompileInputGrad(const Window& w, Context& context) {
  const int64_t taps = w.kernel_volume();
  WSI_RETURN_IF_ERROR(context.scratch.Require(taps * w.channels * 4, taps * 16));
  const Chunks chunks = ChunksOf(w.input_positions(), w.channels * 4, kGrain);
  return MakeKernel([w, taps, chunks, &context](const LaunchArguments& a) {
    float* weights = context.scratch.shared<float>();
    TransposeWeights(a.input<T>(1), taps, w.channels, weights);
    const auto& loops = GetDepthwiseLoops().Of<T>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      const Pointers<T> pointers(context.scratch, worker, taps);
      for (int64_t i = begin; i < end; ++i) {
        int64_t count = 0;
        ForEachWindow(w, PositionOf(i, InputSizes(w)),
                      [&](const Position&, int64_t out, int32_t tap) {
                        pointers.a[count] = a.input<T>(0) + out * w.channels;
                        pointers.b[count++] = weights + tap * w.channels;
                      });
        loops.gather(pointers.a, pointers.b, count, nullptr, w.channels,
                     a.output<T>(0) + i * w.channels);
      }
    });
  });
}

// Chunks write fp64 totals, which are added in chunk order.
template <typename T>
KernelResult CompileWeightGrad(const Window& w, Context& context) {
  const int64_t taps = w.kernel_volume();
  const int64_t size = taps * w.channels;
  Chunks chunks = ChunksOf(w.output_positions(), 1, CeilDiv(w.output_positions(), 64));
  WSI_RETURN_IF_ERROR(context.scratch.Require(chunks.count() * size * 8, size * 4 + taps * 16));
  return MakeKernel([w, taps, size, chunks, &context](const LaunchArguments& a) {
    const auto& loops = GetDepthwiseLoops().Of<T>();
    double* totals = context.scratch.shared<double>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t chunk, int worker) {
      const Pointers<T> pointers(context.scratch, worker, taps);
      float* partial = reinterpret_cast<float*>(pointers.b + taps);
      float** targets = const_cast<float**>(pointers.b);
      double* total = totals + chunk * size;
      std::fill(total, total + size, 0.0);
      for (int64_t first = begin; first < end; first += kPartialPositions) {
        std::fill(partial, partial + size, 0.0F);
        for (int64_t o = first; o < std::min(first + kPartialPositions, end); ++o) {
          int64_t count = 0;
          ForEachTap(w, PositionOf(o, OutputSizes(w)), [&](int64_t in, int32_t tap) {
            pointers.a[count] = a.input<T>(0) + in * w.channels;
            targets[count++] = partial + tap * w.channels;
          });
          loops.scatter(a.input<T>(1) + o * w.channels, pointers.a, targets, count, w.channels);
        }
        for (int64_t j = 0; j < size; ++j) total[j] += static_cast<double>(partial[j]);
      }
    });
    for (int64_t k = 1; k < chunks.count(); ++k) {
      for (int64_t j = 0; j < size; ++j) totals[j] += totals[k * size + j];
    }
    for (int64_t c = 0; c < w.channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        a.output<float>(0)[c * taps + t] = static_cast<float>(totals[t * w.channels + c]);
      }
    }
  });
}

template <typename T>
KernelResult CompileOf(const Window& window, ConvolutionKind kind, Context& context) {
  switch (kind) {
    case ConvolutionKind::kForward: return CompileForward<T>(window, context);
    case ConvolutionKind::kInputGrad: return CompileInputGrad<T>(window, context);
    case ConvolutionKind::kWeightGrad: break;
  }
  return CompileWeightGrad<T>(window, context);
}

}  // namespace

KernelResult CompileDepthwise(const Convolution& convolution, ConvolutionKind kind,
                              Context& context) {
  switch (convolution.stored) {
    case DType::kF16: return CompileOf<Half>(convolution.window, kind, context);
    case DType::kBF16: return CompileOf<BFloat16>(convolution.window, kind, context);
    default: return CompileOf<float>(convolution.window, kind, context);
  }
}

}  // namespace wsi::cpu
