// Standard image networks as ONNX models with fresh weights.
//
// Layers, parameter names and initialisation are torchvision's (resnets "v1.5": the
// stride sits on the 3x3 convolution), so that its state_dicts fit. Input "input"
// [N,3,H,W], output "logits" [N,classes], opset 21. Dropout is left out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "frontends/onnx/model_writer.h"
#include "runtime/base/status.h"

namespace wsi {

enum class ModelNorm : uint8_t {
  kBatch,   // BatchNormalization that trains (training_mode=1)
  kFrozen,  // BatchNormalization with the statistics given (training_mode=0)
  kFixup,   // no normalization, initialised after Zhang, Dauphin and Ma 2019; resnets
  kGroup,   // GroupNormalization of gcd(32, channels) groups
  kNone,    // convolutions with biases
};
Result<ModelNorm> ParseModelNorm(std::string_view name);

struct ModelOptions {
  // None: the network's own, kNone for vgg16 and kBatch for the others.
  std::optional<ModelNorm> norm;
  int64_t classes = 1000;
  uint64_t seed = 0;
  // {H, W}. None: symbolic, but 224 x 224 for vgg16, whose classifier fixes the size.
  std::optional<std::array<int64_t, 2>> input_size;
};

struct BuiltModel {
  ModelWriter writer;
  int64_t parameters = 0;  // Trainable elements.
};

// resnet18, resnet34, resnet50, resnet101, resnet152, vgg16, densenet121, mobilenet_v2.
std::span<const std::string_view> ModelNames();
Result<BuiltModel> BuildModel(std::string_view name, const ModelOptions& options);

}  // namespace wsi
