// Means of windows. Gradients are gathered: each input adds up the windows that it lies in, in
// the windows' order.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/pooling.cuh"

namespace wsi::cuda {
namespace {

// Calls f(tap, output position) for the windows that input `i` lies in.
template <typename F>
__device__ void ForWindows(const Window& w, const Index3& i, const F& f) {
  const Run runs[3] = {Run::Of(w, 0, i[0]), Run::Of(w, 1, i[1]), Run::Of(w, 2, i[2])};
  Index3 o;
  for (o[0] = runs[0].first; o[0] <= runs[0].last; ++o[0]) {
    const int64_t k0 = TapOf(w, 0, i[0], o[0]);
    for (o[1] = runs[1].first; o[1] <= runs[1].last; ++o[1]) {
      const int64_t k1 = TapOf(w, 1, i[1], o[1]);
      for (o[2] = runs[2].first; o[2] <= runs[2].last; ++o[2]) {
        const int64_t k2 = TapOf(w, 2, i[2], o[2]);
        if (k0 >= 0 && k1 >= 0 && k2 >= 0) f((k0 * w.kernel[1] + k1) * w.kernel[2] + k2, o);
      }
    }
  }
}

// What AveragePool divides by: taps inside the image, or inside its padding too.
__device__ float Divisor(const Window& w, const Index3& o, bool include_pad) {
  int64_t taps = 1;
  for (size_t a = 0; a < 3; ++a) {
    int64_t inside = 0;
    for (int64_t k = 0; k < w.kernel[a]; ++k) {
      const int64_t i = o[a] * w.stride[a] + k * w.dilation[a] - w.pad_begin[a];
      const bool in = i >= 0 && i < w.in[a];
      inside += in || (include_pad && i < w.in[a] + w.pad_end[a]) ? 1 : 0;
    }
    taps *= inside;
  }
  return static_cast<float>(taps > 0 ? taps : 1);
}

template <int W, typename T>
__global__ void AveragePoolKernel(Window w, bool include_pad, int64_t items, const T* x, T* y) {
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) {
    const Place p = Locate<W>(w, w.out, i);
    float sum[W] = {};
    ForTaps(w, p.position, [&](int64_t, int64_t in) {
      float v[W];
      const int64_t row = p.n * w.InPositions() + in;
      LoadPack<T, W>(x + row * w.in_channels + p.channel, v);
#pragma unroll
      for (int c = 0; c < W; ++c) sum[c] += v[c];
    });
    const float divisor = Divisor(w, p.position, include_pad);
#pragma unroll
    for (int c = 0; c < W; ++c) sum[c] /= divisor;
    StorePack<T, W>(sum, y + p.row * w.in_channels + p.channel);
  }
}

template <int W, typename T>
__global__ void AveragePoolGradKernel(Window w, bool include_pad, int64_t items, const T* dy,
                                      T* dx) {
  for (int64_t i = FirstItem(); i < items; i += ItemStride()) {
    const Place p = Locate<W>(w, w.in, i);
    float sum[W] = {};
    ForWindows(w, p.position, [&](int64_t, const Index3& out) {
      const int64_t row = p.n * w.OutPositions() + Flat(out, w.out);
      const float divisor = Divisor(w, out, include_pad);
      float d[W];
      LoadPack<T, W>(dy + row * w.in_channels + p.channel, d);
#pragma unroll
      for (int c = 0; c < W; ++c) sum[c] += d[c] / divisor;
    });
    StorePack<T, W>(sum, dx + p.row * w.in_channels + p.channel);
  }
}

}  // namespace

KernelResult CompileAveragePool(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.input(0), check.output(0));
  const bool include_pad = check.Flag("count_include_pad");
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.OutPositions(), [&](auto width, int64_t items) {
        AveragePoolKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
            w, include_pad, items, a.input<T>(0), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileAveragePoolGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Window w = ReadPool(check, check.output(0), check.input(0));
  const bool include_pad = check.Flag("count_include_pad");
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ForPacks<T>(w, w.InPositions(), [&](auto width, int64_t items) {
        AveragePoolGradKernel<width.value><<<GridFor(items), kThreads, 0, context.stream>>>(
            w, include_pad, items, a.input<T>(0), a.output<T>(0));
      });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
