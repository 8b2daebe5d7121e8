#include "frontends/onnx/newer_fields.h"

#include <google/protobuf/unknown_field_set.h>

namespace wsi {
namespace {

// Numbers of onnx.proto.
constexpr int kFunctionAttributeProto = 11;
constexpr int kFunctionOverload = 13;
constexpr int kNodeOverload = 8;

// f(bytes) for each field `number` that holds bytes.
template <typename F>
void ForEachField(const google::protobuf::UnknownFieldSet& fields, int number, F f) {
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    const bool is_bytes = field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED;
    if (field.number() == number && is_bytes) f(field.length_delimited());
  }
}

std::string LastText(const google::protobuf::UnknownFieldSet& fields, int number) {
  std::string text;
  ForEachField(fields, number, [&](const std::string& bytes) { text = bytes; });
  return text;
}

}  // namespace

Result<std::vector<onnx::AttributeProto>> DefaultAttributes(const onnx::FunctionProto& function) {
  std::vector<onnx::AttributeProto> attributes;
  bool good = true;
  ForEachField(function.unknown_fields(), kFunctionAttributeProto, [&](const std::string& bytes) {
    good = attributes.emplace_back().ParseFromString(bytes) && good;
  });
  if (!good) return InvalidInput("its function's attribute_proto cannot be read");
  return attributes;
}

std::string OverloadOf(const onnx::FunctionProto& function) {
  return LastText(function.unknown_fields(), kFunctionOverload);
}

std::string OverloadOf(const onnx::NodeProto& node) {
  return LastText(node.unknown_fields(), kNodeOverload);
}

}  // namespace wsi
