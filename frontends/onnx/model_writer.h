// A small way to write ONNX models, with the protobuf classes out of sight.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/file.h"
#include "runtime/base/tensor.h"

namespace wsi {

// A size, or the name of one that is bound later.
using AxisSize = std::variant<int64_t, std::string>;

// Collects one graph. Nodes come in topological order; names are the caller's to keep
// unique. The generator of the same calls writes the same bytes.
class ModelWriter {
 public:
  ModelWriter(std::string_view graph_name, int64_t opset, int64_t ir_version);
  ModelWriter(ModelWriter&& other) noexcept;
  ModelWriter& operator=(ModelWriter&& other) noexcept;
  ~ModelWriter();

  void AddInput(std::string_view name, DType dtype, const std::vector<AxisSize>& sizes);
  void AddOutput(std::string_view name, DType dtype, const std::vector<AxisSize>& sizes);
  void AddInitializer(std::string_view name, const Tensor& tensor);
  // An empty name in `inputs` or `outputs`: absent. Floats are written as fp32.
  void AddNode(std::string_view op, std::string_view name, const std::vector<std::string>& inputs,
               const std::vector<std::string>& outputs, const Attributes& attributes = {});

  Status Write(const std::string& path, OutputOptions options) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wsi
