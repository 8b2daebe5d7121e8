// The options of every command that reads an ONNX model.
#pragma once

#include <string>

#include "frontends/onnx/import.h"
#include "runtime/base/status.h"

namespace CLI {
class App;
}

namespace wsi {

struct ModelArguments {
  std::string path;
  std::string input_size;  // "HxW"
  int64_t batch = 0;       // 0: the model's own
  std::string weights;     // safetensors
  std::string freeze;

  // Valid after ToImportOptions; ImportOptions::weights points here.
  WeightMap weight_map;
};

// Adds MODEL, --input-size, --batch, --weights and --freeze. `arguments` outlives parsing.
void AddModelOptions(CLI::App& command, ModelArguments* arguments);
Result<ImportOptions> ToImportOptions(ModelArguments& arguments);

// Every tensor of a safetensors file.
Result<WeightMap> ReadWeights(const std::string& path);

}  // namespace wsi
