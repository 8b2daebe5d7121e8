// Dropout (Srivastava et al., 2014) scaled by 1 / (1 - ratio) in training. Which elements
// stay is a function of seed, step, node and flat element index, the same on every
// backend.
#include "runtime/backends/cuda/device.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/base/philox.h"

namespace wsi::cuda {
namespace {

double ReadRatio(LaunchCheck& check) {
  const double ratio = check.Float("ratio", 0.5);
  check.Require(ratio >= 0 && ratio <= 1, "ratio is not from 0 to 1");
  return ratio;
}
// What kept elements are multiplied by.
double ScaleOf(double ratio) { return ratio < 1 ? 1 / (1 - ratio) : 0; }

// A thread has the four elements of one Philox block.
template <typename T>
__global__ void DropoutKernel(const T* x, const int64_t* seed, const int64_t* step, int64_t node,
                              float ratio, double scale, int64_t count, T* y, uint8_t* mask) {
  const PhiloxStream random(*seed, *step, node);
  const auto factor = static_cast<Computed<T>>(scale);
  for (int64_t block = FirstItem(); block * 4 < count; block += ItemStride()) {
    const auto words = random.Block(block);
    for (int64_t i = block * 4; i < min(count, block * 4 + 4); ++i) {
      const bool keep = UniformFloat(words[static_cast<size_t>(i - block * 4)]) >= ratio;
      Store(keep ? Load(x[i]) * factor : Computed<T>{0}, y[i]);
      if (mask != nullptr) mask[i] = keep ? 1 : 0;
    }
  }
}

template <typename T>
__global__ void DropoutGradKernel(const T* dy, const uint8_t* mask, double scale, int64_t count,
                                  T* dx) {
  const auto factor = static_cast<Computed<T>>(scale);
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    Store(mask[i] != 0 ? Load(dy[i]) * factor : Computed<T>{0}, dx[i]);
  }
}

}  // namespace

KernelResult CompileDropout(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLL", "Fb"));
  const double ratio = ReadRatio(check);
  check.Require(check.HasAttribute("seed_id"), "lacks attribute seed_id");
  const int64_t node = check.Int("seed_id", 0, int64_t{0xFFFFFFFF}, 0);
  check.InputIs(1, Shape());
  check.InputIs(2, Shape());
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      DropoutKernel<T><<<GridFor(CeilDiv(count, 4)), kThreads, 0, context.stream>>>(
          a.input<T>(0), a.input<int64_t>(1), a.input<int64_t>(2), node, static_cast<float>(ratio),
          ScaleOf(ratio), count, a.output<T>(0), a.output<uint8_t>(1));
      return LaunchStatus();
    });
  });
}

KernelResult CompileDropoutGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FB", "F"));
  const double ratio = ReadRatio(check);
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  return ForFloat(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      DropoutGradKernel<T><<<GridFor(count), kThreads, 0, context.stream>>>(
          a.input<T>(0), a.input<uint8_t>(1), ScaleOf(ratio), count, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
