// ONNX's TensorProto to Tensor.
#pragma once

#include <string>

#include "frontends/onnx/external_data.h"
#include "runtime/base/tensor.h"

namespace onnx {
class TensorProto;
}

namespace wsi {

// The DType of ONNX's TensorProto.DataType, and back (0: none).
Result<DType> DTypeFromOnnx(int64_t data_type);
int DTypeToOnnx(DType dtype);

Result<Shape> TensorProtoShape(const onnx::TensorProto& proto);

// Whether `proto` says where its values are, inline or external.
bool HasValues(const onnx::TensorProto& proto);

// Where the values of an external tensor lie.
struct ExternalRange {
  std::string location;
  int64_t offset = 0;
};
bool IsExternal(const onnx::TensorProto& proto);
// REQUIRES: IsExternal. Checks the stated length against `bytes`.
Result<ExternalRange> ParseExternalRange(const onnx::TensorProto& proto, Bytes bytes);

// The tensor. Sizes are checked before memory is taken, and inline values are freed
// from `proto`, so that no more than one tensor is held twice.
Result<Tensor> TakeTensor(onnx::TensorProto& proto, ExternalData& external);

}  // namespace wsi
