// Fields of ONNX that are younger than the generated classes of older distributions, which
// keep them as unknown fields.
#pragma once

#include <string>
#include <vector>

#include "frontends/onnx/onnx_proto.h"
#include "runtime/base/status.h"

namespace wsi {

// FunctionProto.attribute_proto: attributes with the values that calls need not state.
Result<std::vector<onnx::AttributeProto>> DefaultAttributes(const onnx::FunctionProto& function);
// FunctionProto.overload and NodeProto.overload: which of several functions of one name.
std::string OverloadOf(const onnx::FunctionProto& function);
std::string OverloadOf(const onnx::NodeProto& node);

}  // namespace wsi
