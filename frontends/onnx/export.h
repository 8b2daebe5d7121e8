// Trained weights back into the ONNX model that they came from.
#pragma once

#include <string>
#include <vector>

#include "frontends/onnx/import.h"
#include "runtime/base/file.h"
#include "runtime/base/status.h"

namespace wsi {

struct ExportReport {
  int64_t replaced = 0;           // Initializers that got new contents.
  std::vector<std::string> kept;  // Float initializers that `weights` does not name.
  int64_t inference_norms = 0;    // BatchNormalization nodes taken out of training mode.
};

// Writes the model at `model_path` to `output_path` with the contents of the
// initializers that `weights` names replaced, rounded to the model's element types;
// everything else stays as it is. Names and shapes must be the model's: every mismatch
// is listed in the one error (PyTorch's num_batches_tracked counters are passed over).
// BatchNormalization in training mode, which would normalise by each batch's own
// statistics, uses the trained running ones from now on.
// Weights stored inline stay inline; external ones go to `output_path` + ".data".
// A running statistic that was another name (an Identity) of a shared initializer
// becomes an initializer of its own.
Result<ExportReport> ExportOnnx(const std::string& model_path, const WeightMap& weights,
                                const std::string& output_path, OutputOptions options);

}  // namespace wsi
