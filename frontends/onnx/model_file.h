// Reading an ONNX model file into ONNX's generated classes.
#pragma once

#include <memory>
#include <string>

#include "runtime/base/status.h"

namespace onnx {
class ModelProto;
}

namespace wsi {

struct ModelDeleter {
  void operator()(onnx::ModelProto* model) const;
};
using ModelPtr = std::unique_ptr<onnx::ModelProto, ModelDeleter>;

// The parsed file. The wire format is walked once before anything is allocated, so
// that a small file cannot ask for millions of objects.
Result<ModelPtr> ReadModelFile(const std::string& path);

}  // namespace wsi
