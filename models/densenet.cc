// Huang, Liu, van der Maaten, Weinberger: "Densely Connected Convolutional Networks",
// 2016.
#include <fmt/format.h>

#include "models/network.h"

namespace wsi {
namespace {

constexpr int kBlocks[] = {6, 12, 24, 16};  // densenet121
constexpr int64_t kGrowth = 32;
constexpr int64_t kBottleneck = 4 * kGrowth;

std::string NormRelu(Network& net, const std::string& name, const std::string& x,
                     int64_t channels) {
  return net.Relu(name + ".relu", net.Norm(name, x, channels));
}

std::string DenseLayer(Network& net, const std::string& name, const std::string& x,
                       int64_t channels) {
  std::string y = NormRelu(net, name + ".norm1", x, channels);
  y = net.Conv(name + ".conv1", y, {.in = channels, .out = kBottleneck, .init = Init::kHeFanIn});
  y = NormRelu(net, name + ".norm2", y, kBottleneck);
  y = net.Conv(name + ".conv2", y,
               {.in = kBottleneck, .out = kGrowth, .kernel = 3, .init = Init::kHeFanIn});
  return net.Concat(name + ".concat", x, y);
}

}  // namespace

Result<BuiltModel> BuildDensenet(std::string_view name, const ModelOptions& options) {
  const ModelNorm norm = options.norm.value_or(ModelNorm::kBatch);
  WSI_RETURN_IF_ERROR(RefuseFixup(name, norm));
  Network net(name, options, norm, InputSizes(options));
  int64_t channels = 2 * kGrowth;
  std::string x =
      net.Conv("features.conv0", net.input(),
               {.in = 3, .out = channels, .kernel = 7, .stride = 2, .init = Init::kHeFanIn});
  x = net.MaxPool("features.pool0", NormRelu(net, "features.norm0", x, channels), 3, 2, 1);
  int block = 0;
  for (const int layers : kBlocks) {
    ++block;
    for (int layer = 1; layer <= layers; ++layer) {
      x = DenseLayer(net, fmt::format("features.denseblock{}.denselayer{}", block, layer), x,
                     channels);
      channels += kGrowth;
    }
    if (block == 4) break;
    const std::string transition = fmt::format("features.transition{}", block);
    x = NormRelu(net, fmt::format("{}.norm", transition), x, channels);
    x = net.Conv(fmt::format("{}.conv", transition), x,
                 {.in = channels, .out = channels / 2, .init = Init::kHeFanIn});
    x = net.AveragePool(fmt::format("{}.pool", transition), x, {2, 2});
    channels /= 2;
  }
  x = NormRelu(net, "features.norm5", x, channels);
  x = net.Flatten("flatten", net.GlobalAveragePool("avgpool", x));
  x = net.Linear("classifier", x, {channels, options.classes, Init::kUniformFanIn, Init::kZero});
  return std::move(net).Finish(x, options.classes);
}

}  // namespace wsi
