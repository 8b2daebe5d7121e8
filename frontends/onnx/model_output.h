// Writing ONNX's generated classes to a file.
#pragma once

#include <string>

#include "runtime/base/file.h"
#include "runtime/base/status.h"

namespace onnx {
class ModelProto;
}

namespace wsi {

// Serializes into the file without a second copy in memory, durable and in one step.
Status WriteModelFile(const onnx::ModelProto& model, const std::string& path,
                      OutputOptions options);

}  // namespace wsi
