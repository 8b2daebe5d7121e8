#include "models/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/random.h"

namespace wsi {
namespace {

constexpr int64_t kOpset = 21;
constexpr int64_t kIrVersion = 10;  // The first that knows opset 21.
constexpr int64_t kMostGroups = 32;
constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.9;  // Of the old statistic; PyTorch's 0.1 is the new one's.

}  // namespace

Network::Network(std::string_view name, const ModelOptions& options, ModelNorm norm,
                 std::vector<AxisSize> input_sizes)
    : writer_(name, kOpset, kIrVersion),
      norm_(norm),
      seed_(options.seed),
      batch_(input_sizes.front()) {
  writer_.AddInput(input_, DType::kF32, input_sizes);
}

void Network::AddWeight(const std::string& name, Shape shape, Init init, Fans fans, double gain) {
  Tensor tensor = Tensor::Make(DType::kF32, std::move(shape)).value();
  const std::span<float> data = tensor.data<float>();
  const WeightRandom random(seed_, name);
  switch (init) {
    case Init::kHeFanOut:
      random.FillNormal(gain * std::sqrt(2.0 / static_cast<double>(fans.out)), data);
      break;
    case Init::kHeFanIn:
      random.FillNormal(gain * std::sqrt(2.0 / static_cast<double>(fans.in)), data);
      break;
    case Init::kNormal001: random.FillNormal(0.01, data); break;
    case Init::kUniformFanIn:
      random.FillUniform(1 / std::sqrt(static_cast<double>(fans.in)), data);
      break;
    case Init::kZero: break;
  }
  parameters_ += tensor.shape().ElementCount();
  writer_.AddInitializer(name, tensor);
}

void Network::AddFilled(const std::string& name, int64_t size, float value, bool counted) {
  const std::vector<float> values(static_cast<size_t>(size), value);
  writer_.AddInitializer(name, Tensor::Of<float>({size}, values));
  if (counted) parameters_ += size;
}

std::string Network::Node(std::string_view op, const std::string& name,
                          const std::vector<std::string>& inputs, const Attributes& attributes) {
  writer_.AddNode(op, name, inputs, {name}, attributes);
  return name;
}

std::string Network::Conv(const std::string& name, const std::string& x, const ConvSpec& spec) {
  const int64_t k = spec.kernel;
  const int64_t pad = k / 2;
  // As PyTorch counts: groups divide the fan-in only.
  const Fans fans{spec.in / spec.group * k * k, spec.out * k * k};
  AddWeight(name + ".weight", {spec.out, spec.in / spec.group, k, k}, spec.init, fans, spec.gain);
  std::vector<std::string> inputs = {x, name + ".weight"};
  if (spec.bias || norm_ == ModelNorm::kNone) {
    AddFilled(name + ".bias", spec.out, 0);
    inputs.push_back(name + ".bias");
  }
  return Node("Conv", name, inputs,
              {{"kernel_shape", std::vector<int64_t>{k, k}},
               {"strides", std::vector<int64_t>{spec.stride, spec.stride}},
               {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
               {"dilations", std::vector<int64_t>{1, 1}},
               {"group", spec.group}});
}

std::string Network::Norm(const std::string& name, const std::string& x, int64_t channels) {
  if (norm_ == ModelNorm::kNone || norm_ == ModelNorm::kFixup) return x;
  AddFilled(name + ".weight", channels, 1);
  AddFilled(name + ".bias", channels, 0);
  if (norm_ == ModelNorm::kGroup) {
    return Node("GroupNormalization", name, {x, name + ".weight", name + ".bias"},
                {{"num_groups", std::gcd(kMostGroups, channels)}, {"epsilon", kEpsilon}});
  }
  const std::string mean = name + ".running_mean";
  const std::string variance = name + ".running_var";
  AddFilled(mean, channels, 0, false);
  AddFilled(variance, channels, 1, false);
  const bool training = norm_ == ModelNorm::kBatch;
  std::vector<std::string> outputs = {name};
  if (training) outputs.insert(outputs.end(), {mean + ".next", variance + ".next"});
  writer_.AddNode("BatchNormalization", name, {x, name + ".weight", name + ".bias", mean, variance},
                  outputs,
                  {{"epsilon", kEpsilon},
                   {"momentum", kMomentum},
                   {"training_mode", int64_t{training ? 1 : 0}}});
  return name;
}

std::string Network::Relu(const std::string& name, const std::string& x) {
  return Node("Relu", name, {x});
}

std::string Network::Relu6(const std::string& name, const std::string& x) {
  writer_.AddNode("Constant", name + ".min", {}, {name + ".min"}, {{"value_float", 0.0}});
  writer_.AddNode("Constant", name + ".max", {}, {name + ".max"}, {{"value_float", 6.0}});
  return Node("Clip", name, {x, name + ".min", name + ".max"});
}

std::string Network::Add(const std::string& name, const std::string& a, const std::string& b) {
  return Node("Add", name, {a, b});
}

std::string Network::Concat(const std::string& name, const std::string& a, const std::string& b) {
  return Node("Concat", name, {a, b}, {{"axis", int64_t{1}}});
}

std::string Network::MaxPool(const std::string& name, const std::string& x, int64_t kernel,
                             int64_t stride, int64_t pad) {
  return Node("MaxPool", name, {x},
              {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
               {"strides", std::vector<int64_t>{stride, stride}},
               {"pads", std::vector<int64_t>{pad, pad, pad, pad}}});
}

std::string Network::AveragePool(const std::string& name, const std::string& x,
                                 std::pair<int64_t, int64_t> kernel) {
  const std::vector<int64_t> sizes = {kernel.first, kernel.second};
  return Node("AveragePool", name, {x}, {{"kernel_shape", sizes}, {"strides", sizes}});
}

std::string Network::GlobalAveragePool(const std::string& name, const std::string& x) {
  return Node("GlobalAveragePool", name, {x});
}

std::string Network::Flatten(const std::string& name, const std::string& x) {
  return Node("Flatten", name, {x}, {{"axis", int64_t{1}}});
}

std::string Network::Linear(const std::string& name, const std::string& x, const LinearSpec& spec) {
  const Fans fans{spec.in, spec.out};
  AddWeight(name + ".weight", {spec.out, spec.in}, spec.weight, fans);
  AddWeight(name + ".bias", {spec.out}, spec.bias, fans);
  return Node("Gemm", name, {x, name + ".weight", name + ".bias"}, {{"transB", int64_t{1}}});
}

std::string Network::ScalarBias(const std::string& name, const std::string& x) {
  AddFilled(name, 1, 0);
  return Node("Add", name + ".add", {x, name});
}

std::string Network::ScalarScale(const std::string& name, const std::string& x) {
  AddFilled(name, 1, 1);
  return Node("Mul", name + ".mul", {x, name});
}

BuiltModel Network::Finish(const std::string& x, int64_t classes) && {
  writer_.AddNode("Identity", "logits", {x}, {"logits"});
  writer_.AddOutput("logits", DType::kF32, {batch_, classes});
  return {std::move(writer_), parameters_};
}

std::vector<AxisSize> InputSizes(const ModelOptions& options) {
  if (!options.input_size) return {"N", int64_t{3}, "H", "W"};
  return {"N", int64_t{3}, (*options.input_size)[0], (*options.input_size)[1]};
}

Status RefuseFixup(std::string_view name, ModelNorm norm) {
  if (norm != ModelNorm::kFixup) return {};
  return UsageError(
      fmt::format("--norm fixup rescales the branches of residual networks; it is "
                  "there for resnet18 to resnet152, not for {}; try --norm group or "
                  "none",
                  name));
}

}  // namespace wsi
