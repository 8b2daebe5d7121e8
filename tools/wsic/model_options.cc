#include "tools/wsic/model_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "runtime/plan/safetensors.h"

namespace wsi {
namespace {

// "512x768" or "512": sizes of the spatial axes.
Result<std::vector<int64_t>> ParseSizes(const std::string& text) {
  std::vector<int64_t> sizes;
  const char* at = text.data();
  const char* end = text.data() + text.size();
  while (true) {
    int64_t size = 0;
    const auto [rest, error] = std::from_chars(at, end, size);
    if (error != std::errc() || size < 1) break;
    sizes.push_back(size);
    if (rest == end) return sizes;
    if (*rest != 'x') break;
    at = rest + 1;
  }
  return UsageError(fmt::format("--input-size '{}' is not HxW, for example 10000x10000", text));
}

}  // namespace

void AddModelOptions(CLI::App& command, ModelArguments* arguments) {
  command.add_option("MODEL", arguments->path, "ONNX model")->required();
  command.add_option("--input-size", arguments->input_size, "HxW of the images");
  command.add_option("--batch", arguments->batch, "images a step (default: the model's own, or 1)")
      ->check(CLI::PositiveNumber);
  command.add_option("--weights", arguments->weights,
                     "safetensors file whose tensors replace the initializers of their names");
  command.add_option("--freeze", arguments->freeze,
                     "regular expression: parameters whose whole name matches are not trained");
}

Result<WeightMap> ReadWeights(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  WeightMap weights;
  for (const SafetensorsEntry& entry : file.entries()) {
    WSI_ASSIGN_OR_RETURN(Tensor tensor, file.Read(entry.name));
    weights.emplace(entry.name, std::move(tensor));
  }
  return weights;
}

Result<ImportOptions> ToImportOptions(ModelArguments& arguments) {
  ImportOptions options;
  if (!arguments.input_size.empty()) {
    WSI_ASSIGN_OR_RETURN(options.input_size, ParseSizes(arguments.input_size));
  }
  if (arguments.batch > 0) options.batch = arguments.batch;
  if (!arguments.weights.empty()) {
    WSI_ASSIGN_OR_RETURN(arguments.weight_map, ReadWeights(arguments.weights));
    options.weights = &arguments.weight_map;
  }
  options.freeze = arguments.freeze;
  return options;
}

}  // namespace wsi
