// Sandler, Howard, Zhu, Zhmoginov, Chen: "MobileNetV2: Inverted Residuals and Linear
// Bottlenecks", 2018.
#include <fmt/format.h>

#include "models/network.h"

namespace wsi {
namespace {

struct Stage {
  int64_t expansion;
  int64_t channels;
  int blocks;
  int64_t stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr int64_t kLast = 1280;

std::string ConvNormRelu6(Network& net, const std::string& name, const std::string& x,
                          const ConvSpec& spec) {
  const std::string y = net.Norm(name + ".1", net.Conv(name + ".0", x, spec), spec.out);
  return net.Relu6(name + ".2", y);
}

struct Bottleneck {
  std::string name;  // "features.1.conv"
  int64_t in = 0;
  int64_t out = 0;
  int64_t expansion = 1;
  int64_t stride = 1;
};

std::string InvertedResidual(Network& net, const std::string& x, const Bottleneck& b) {
  const int64_t hidden = b.in * b.expansion;
  int index = 0;
  const auto next = [&] { return fmt::format("{}.{}", b.name, index++); };
  std::string y = x;
  if (b.expansion != 1) y = ConvNormRelu6(net, next(), y, {.in = b.in, .out = hidden});
  y = ConvNormRelu6(
      net, next(), y,
      {.in = hidden, .out = hidden, .kernel = 3, .stride = b.stride, .group = hidden});
  y = net.Conv(next(), y, {.in = hidden, .out = b.out});
  y = net.Norm(next(), y, b.out);
  return b.stride == 1 && b.in == b.out ? net.Add(b.name + ".add", x, y) : y;
}

}  // namespace

Result<BuiltModel> BuildMobilenet(std::string_view name, const ModelOptions& options) {
  const ModelNorm norm = options.norm.value_or(ModelNorm::kBatch);
  WSI_RETURN_IF_ERROR(RefuseFixup(name, norm));
  Network net(name, options, norm, InputSizes(options));
  int64_t channels = 32;
  std::string x = ConvNormRelu6(net, "features.0", net.input(),
                                {.in = 3, .out = channels, .kernel = 3, .stride = 2});
  int index = 1;
  for (const Stage& stage : kStages) {
    for (int i = 0; i < stage.blocks; ++i) {
      x = InvertedResidual(net, x,
                           {fmt::format("features.{}.conv", index++), channels, stage.channels,
                            stage.expansion, i == 0 ? stage.stride : 1});
      channels = stage.channels;
    }
  }
  x = ConvNormRelu6(net, fmt::format("features.{}", index), x, {.in = channels, .out = kLast});
  x = net.Flatten("flatten", net.GlobalAveragePool("avgpool", x));
  x = net.Linear("classifier.1", x, {kLast, options.classes, Init::kNormal001, Init::kZero});
  return std::move(net).Finish(x, options.classes);
}

}  // namespace wsi
