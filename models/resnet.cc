// He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015; and the
// form without normalization of Zhang, Dauphin, Ma: "Fixup Initialization: Residual
// Learning Without Normalization", 2019.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>

#include "models/network.h"

namespace wsi {
namespace {

struct ResnetShape {
  std::string_view name;
  std::array<int, 4> blocks;
  bool bottleneck;
};
constexpr ResnetShape kShapes[] = {{"resnet18", {2, 2, 2, 2}, false},
                                   {"resnet34", {3, 4, 6, 3}, false},
                                   {"resnet50", {3, 4, 6, 3}, true},
                                   {"resnet101", {3, 4, 23, 3}, true},
                                   {"resnet152", {3, 8, 36, 3}, true}};

struct Block {
  std::string name;  // "layer1.0"
  int64_t in = 0;
  int64_t width = 0;
  int64_t out = 0;
  int64_t stride = 1;
};

class ResnetBuilder {
 public:
  ResnetBuilder(const ResnetShape& shape, const ModelOptions& options, ModelNorm norm)
      : shape_(shape), net_(shape.name, options, norm, InputSizes(options)) {
    // L^(-1 / (2m - 2)) for L residual branches of m layers each.
    const int branches = std::accumulate(shape.blocks.begin(), shape.blocks.end(), 0);
    fixup_gain_ = std::pow(branches, shape.bottleneck ? -0.25 : -0.5);
  }

  BuiltModel Build(int64_t classes) && {
    std::string x =
        net_.Conv("conv1", net_.input(), {.in = 3, .out = 64, .kernel = 7, .stride = 2});
    x = fixup() ? net_.ScalarBias("bias1", x) : net_.Norm("bn1", x, 64);
    x = net_.MaxPool("maxpool", net_.Relu("relu", x), 3, 2, 1);
    int64_t channels = 64;
    for (int layer = 0; layer < 4; ++layer) {
      const int64_t width = int64_t{64} << layer;
      for (int i = 0; i < shape_.blocks[static_cast<size_t>(layer)]; ++i) {
        const Block block{fmt::format("layer{}.{}", layer + 1, i), channels, width,
                          shape_.bottleneck ? 4 * width : width, i == 0 && layer > 0 ? 2 : 1};
        x = fixup() ? FixupBlock(x, block) : NormBlock(x, block);
        channels = block.out;
      }
    }
    x = net_.Flatten("flatten", net_.GlobalAveragePool("avgpool", x));
    if (fixup()) x = net_.ScalarBias("bias2", x);
    const Init head = fixup() ? Init::kZero : Init::kUniformFanIn;
    x = net_.Linear("fc", x, {channels, classes, head, head});
    return std::move(net_).Finish(x, classes);
  }

 private:
  bool fixup() const { return net_.norm() == ModelNorm::kFixup; }

  // The branch's convolutions: two 3x3, or 1x1, 3x3 (which has the stride), 1x1.
  std::vector<ConvSpec> Branch(const Block& b) const {
    if (!shape_.bottleneck) {
      return {{.in = b.in, .out = b.width, .kernel = 3, .stride = b.stride},
              {.in = b.width, .out = b.out, .kernel = 3}};
    }
    return {{.in = b.in, .out = b.width},
            {.in = b.width, .out = b.width, .kernel = 3, .stride = b.stride},
            {.in = b.width, .out = b.out}};
  }

  static bool Projects(const Block& b) { return b.stride != 1 || b.in != b.out; }
  static ConvSpec Projection(const Block& b) {
    return {.in = b.in, .out = b.out, .stride = b.stride};
  }

  std::string NormBlock(const std::string& x, const Block& b) {
    const std::vector<ConvSpec> convs = Branch(b);
    std::string y = x;
    for (size_t i = 0; i < convs.size(); ++i) {
      y = net_.Conv(fmt::format("{}.conv{}", b.name, i + 1), y, convs[i]);
      y = net_.Norm(fmt::format("{}.bn{}", b.name, i + 1), y, convs[i].out);
      if (i + 1 < convs.size()) y = net_.Relu(fmt::format("{}.relu{}", b.name, i + 1), y);
    }
    std::string skip = x;
    if (Projects(b)) {
      skip = net_.Conv(b.name + ".downsample.0", x, Projection(b));
      skip = net_.Norm(b.name + ".downsample.1", skip, b.out);
    }
    return net_.Relu(b.name + ".relu", net_.Add(b.name + ".add", y, skip));
  }

  // A scalar bias around every convolution and ReLU, one multiplier per branch, the
  // last convolution zero and the others scaled down.
  std::string FixupBlock(const std::string& x, const Block& b) {
    std::vector<ConvSpec> convs = Branch(b);
    for (ConvSpec& conv : convs) conv.gain = fixup_gain_;
    convs.back().init = Init::kZero;
    std::string y = x;
    std::string biased;
    for (size_t i = 0; i < convs.size(); ++i) {
      y = net_.ScalarBias(fmt::format("{}.bias{}a", b.name, i + 1), y);
      if (i == 0) biased = y;
      y = net_.Conv(fmt::format("{}.conv{}", b.name, i + 1), y, convs[i]);
      if (i + 1 == convs.size()) y = net_.ScalarScale(b.name + ".scale", y);
      y = net_.ScalarBias(fmt::format("{}.bias{}b", b.name, i + 1), y);
      if (i + 1 < convs.size()) y = net_.Relu(fmt::format("{}.relu{}", b.name, i + 1), y);
    }
    const std::string skip =
        Projects(b) ? net_.Conv(b.name + ".downsample", biased, Projection(b)) : x;
    return net_.Relu(b.name + ".relu", net_.Add(b.name + ".add", y, skip));
  }

  const ResnetShape& shape_;
  Network net_;
  double fixup_gain_ = 1;
};

}  // namespace

Result<BuiltModel> BuildResnet(std::string_view name, const ModelOptions& options) {
  for (const ResnetShape& shape : kShapes) {
    if (shape.name != name) continue;
    return ResnetBuilder(shape, options, options.norm.value_or(ModelNorm::kBatch))
        .Build(options.classes);
  }
  return UsageError(fmt::format("no resnet '{}'", name));
}

}  // namespace wsi
