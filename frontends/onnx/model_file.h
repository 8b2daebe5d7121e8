// Reading ONNX's files into its generated classes.
#pragma once

#include <memory>
#include <string>

#include "runtime/base/status.h"

namespace onnx {
class ModelProto;
class SequenceProto;
class TensorProto;
}  // namespace onnx

namespace wsi {

struct ModelDeleter {
  void operator()(onnx::ModelProto* model) const;
  void operator()(onnx::SequenceProto* sequence) const;
  void operator()(onnx::TensorProto* tensor) const;
};
using ModelPtr = std::unique_ptr<onnx::ModelProto, ModelDeleter>;
using SequenceProtoPtr = std::unique_ptr<onnx::SequenceProto, ModelDeleter>;
using TensorProtoPtr = std::unique_ptr<onnx::TensorProto, ModelDeleter>;

// The parsed file. The wire format is walked once before anything is allocated, so
// that a small file cannot ask for millions of objects.
Result<ModelPtr> ReadModelFile(const std::string& path);
// The same of a file that holds one TensorProto, or one SequenceProto.
Result<TensorProtoPtr> ReadTensorProtoFile(const std::string& path);
Result<SequenceProtoPtr> ReadSequenceProtoFile(const std::string& path);

}  // namespace wsi
