#include "models/models.h"

#include <fmt/format.h>

#include <utility>

#include "models/network.h"

namespace wsi {
namespace {

constexpr std::string_view kNames[] = {"resnet18",  "resnet34", "resnet50",    "resnet101",
                                       "resnet152", "vgg16",    "densenet121", "mobilenet_v2"};
constexpr std::pair<std::string_view, ModelNorm> kNorms[] = {{"batch", ModelNorm::kBatch},
                                                             {"frozen", ModelNorm::kFrozen},
                                                             {"fixup", ModelNorm::kFixup},
                                                             {"group", ModelNorm::kGroup},
                                                             {"none", ModelNorm::kNone}};
constexpr int64_t kMostClasses = 1'000'000;

}  // namespace

Result<ModelNorm> ParseModelNorm(std::string_view name) {
  for (const auto& [known, norm] : kNorms) {
    if (known == name) return norm;
  }
  return UsageError(fmt::format("--norm '{}' is none of batch, frozen, fixup, group, none", name));
}

std::span<const std::string_view> ModelNames() { return kNames; }

Result<BuiltModel> BuildModel(std::string_view name, const ModelOptions& options) {
  if (options.classes < 1 || options.classes > kMostClasses) {
    return UsageError(
        fmt::format("--classes {}: allowed are 1 to {}", options.classes, kMostClasses));
  }
  if (options.input_size && ((*options.input_size)[0] < 1 || (*options.input_size)[1] < 1)) {
    return UsageError("--input-size must be positive");
  }
  if (name.starts_with("resnet")) return BuildResnet(name, options);
  if (name == "vgg16") return BuildVgg(name, options);
  if (name == "densenet121") return BuildDensenet(name, options);
  if (name == "mobilenet_v2") return BuildMobilenet(name, options);
  std::string known;
  for (const std::string_view one : kNames) known += fmt::format(" {}", one);
  return UsageError(fmt::format("no network '{}'; there are{}", name, known));
}

}  // namespace wsi
