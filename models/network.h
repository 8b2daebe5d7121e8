// What the networks are put together from: layers that add their nodes and weights to
// an ONNX model and return the name of their result.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "frontends/onnx/model_writer.h"
#include "models/models.h"

namespace wsi {

// How a weight starts.
enum class Init : uint8_t {
  kHeFanOut,      // normal, variance 2 / fan-out
  kHeFanIn,       // normal, variance 2 / fan-in
  kNormal001,     // normal, deviation 0.01
  kUniformFanIn,  // uniform within 1 / sqrt(fan-in): PyTorch's default of a Linear
  kZero,
};

struct ConvSpec {
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t group = 1;
  bool bias = false;  // A bias even where a normalization follows; starts at zero.
  Init init = Init::kHeFanOut;
  double gain = 1;  // Multiplies the deviation.
};

struct LinearSpec {
  int64_t in = 0;
  int64_t out = 0;
  Init weight = Init::kUniformFanIn;
  Init bias = Init::kUniformFanIn;
};

class Network {
 public:
  Network(std::string_view name, const ModelOptions& options, ModelNorm norm,
          std::vector<AxisSize> input_sizes);

  ModelNorm norm() const { return norm_; }
  const std::string& input() const { return input_; }

  // `name` is the module's name in torchvision, and that of its node and result. Same
  // padding for odd kernels.
  std::string Conv(const std::string& name, const std::string& x, const ConvSpec& spec);
  // The normalization of the mode chosen; returns x for kNone and kFixup.
  std::string Norm(const std::string& name, const std::string& x, int64_t channels);
  std::string Relu(const std::string& name, const std::string& x);
  std::string Relu6(const std::string& name, const std::string& x);
  std::string Add(const std::string& name, const std::string& a, const std::string& b);
  std::string Concat(const std::string& name, const std::string& a, const std::string& b);
  std::string MaxPool(const std::string& name, const std::string& x, int64_t kernel, int64_t stride,
                      int64_t pad);
  std::string AveragePool(const std::string& name, const std::string& x,
                          std::pair<int64_t, int64_t> kernel);  // Stride = kernel.
  std::string GlobalAveragePool(const std::string& name, const std::string& x);
  std::string Flatten(const std::string& name, const std::string& x);
  std::string Linear(const std::string& name, const std::string& x, const LinearSpec& spec);
  // x + b or x * s with a parameter of one element (Fixup).
  std::string ScalarBias(const std::string& name, const std::string& x);
  std::string ScalarScale(const std::string& name, const std::string& x);

  // `x` becomes the model's output.
  BuiltModel Finish(const std::string& x, int64_t classes) &&;

 private:
  struct Fans {
    int64_t in = 0;
    int64_t out = 0;
  };
  void AddWeight(const std::string& name, Shape shape, Init init, Fans fans, double gain = 1);
  // A parameter, or (counted = false) a running statistic, of one value everywhere.
  void AddFilled(const std::string& name, int64_t size, float value, bool counted = true);
  std::string Node(std::string_view op, const std::string& name,
                   const std::vector<std::string>& inputs, const Attributes& attributes = {});

  ModelWriter writer_;
  ModelNorm norm_;
  uint64_t seed_;
  std::string input_ = "input";
  AxisSize batch_;
  int64_t parameters_ = 0;
};

// One network per family, in its own file. `name` is one of ModelNames().
Result<BuiltModel> BuildResnet(std::string_view name, const ModelOptions& options);
Result<BuiltModel> BuildVgg(std::string_view name, const ModelOptions& options);
Result<BuiltModel> BuildDensenet(std::string_view name, const ModelOptions& options);
Result<BuiltModel> BuildMobilenet(std::string_view name, const ModelOptions& options);

// [N,3,H,W], sizes from the options or symbolic.
std::vector<AxisSize> InputSizes(const ModelOptions& options);
// Fixup rescales residual branches; a network without them has no such form.
Status RefuseFixup(std::string_view name, ModelNorm norm);

}  // namespace wsi
