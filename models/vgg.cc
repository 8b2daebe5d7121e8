// Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image
// Recognition", 2014. With a normalization it is torchvision's vgg16_bn.
#include <fmt/format.h>

#include <array>

#include "models/network.h"

namespace wsi {
namespace {

constexpr int64_t kPool = 0;
constexpr int64_t kLayers[] = {64,    64,  kPool, 128, 128,   kPool, 256, 256, 256,
                               kPool, 512, 512,   512, kPool, 512,   512, 512, kPool};
constexpr int64_t kReduction = 32;  // Five poolings.
constexpr int64_t kHead = 7;        // The classifier wants 7 x 7 positions.

// torchvision pools to 7 x 7 adaptively, which is plain pooling where 7 divides the size.
Status CheckSize(const std::array<int64_t, 2>& size) {
  for (const int64_t pixels : size) {
    const int64_t unit = kReduction * kHead;
    const int64_t positions = pixels / kReduction;
    if (positions >= kHead && positions % kHead == 0) continue;
    return UsageError(
        fmt::format("vgg16's classifier wants 7 x 7 positions: --input-size {}x{} "
                    "must be multiples of {}, for example {}",
                    size[0], size[1], unit, (pixels / unit + 1) * unit));
  }
  return {};
}

}  // namespace

Result<BuiltModel> BuildVgg(std::string_view name, const ModelOptions& options) {
  const ModelNorm norm = options.norm.value_or(ModelNorm::kNone);
  WSI_RETURN_IF_ERROR(RefuseFixup(name, norm));
  ModelOptions sized = options;
  if (!sized.input_size) sized.input_size = {kReduction * kHead, kReduction * kHead};
  const std::array<int64_t, 2> size = *sized.input_size;
  WSI_RETURN_IF_ERROR(CheckSize(size));

  Network net(name, sized, norm, InputSizes(sized));
  std::string x = net.input();
  int64_t channels = 3;
  int index = 0;  // In torchvision's Sequential.
  const auto next = [&] { return fmt::format("features.{}", index++); };
  for (const int64_t width : kLayers) {
    if (width == kPool) {
      x = net.MaxPool(next(), x, 2, 2, 0);
      continue;
    }
    x = net.Conv(next(), x, {.in = channels, .out = width, .kernel = 3, .bias = true});
    if (norm != ModelNorm::kNone) x = net.Norm(next(), x, width);
    x = net.Relu(next(), x);
    channels = width;
  }
  const int64_t unit = kReduction * kHead;
  if (size[0] / unit > 1 || size[1] / unit > 1) {
    x = net.AveragePool("avgpool", x, {size[0] / unit, size[1] / unit});
  }
  x = net.Flatten("flatten", x);
  const auto linear = [&](int64_t in, int64_t out) -> LinearSpec {
    return {in, out, Init::kNormal001, Init::kZero};
  };
  x = net.Relu("classifier.1", net.Linear("classifier.0", x, linear(512 * kHead * kHead, 4096)));
  x = net.Relu("classifier.4", net.Linear("classifier.3", x, linear(4096, 4096)));
  x = net.Linear("classifier.6", x, linear(4096, options.classes));
  return std::move(net).Finish(x, options.classes);
}

}  // namespace wsi
