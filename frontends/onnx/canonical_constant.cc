// Operators that make constants.
#include <fmt/format.h>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

// Constant's attribute forms: exactly one of them is there.
constexpr std::string_view kValueForms[] = {"value",        "sparse_value", "value_float",
                                            "value_floats", "value_int",    "value_ints",
                                            "value_string", "value_strings"};

template <typename T>
Tensor List(const std::vector<T>& values) {
  return Tensor::Of<T>({static_cast<int64_t>(values.size())}, values);
}

Tensor FloatList(const std::vector<double>& values) {
  return List(std::vector<float>(values.begin(), values.end()));
}

}  // namespace

Status ImportConstant(NodeImport& n) {
  std::string_view form;
  for (const std::string_view candidate : kValueForms) {
    if (!n.HasAttribute(candidate)) continue;
    if (!form.empty()) return InvalidInput(fmt::format("has both {} and {}", form, candidate));
    form = candidate;
  }
  if (form.empty()) return InvalidInput("has no value");
  if (form == "value") {
    onnx::TensorProto* proto = n.TensorAttribute(form);
    if (proto == nullptr) return n.CheckAttributes();
    WSI_ASSIGN_OR_RETURN(Tensor tensor, TakeTensor(*proto, n.state().external));
    return n.GiveConstant(std::move(tensor));
  }
  if (form == "value_ints") return n.GiveConstant(List(n.Ints(form)));
  if (form == "value_floats") return n.GiveConstant(FloatList(n.Floats(form)));
  if (form == "value_int") {
    return n.GiveConstant(List<int64_t>({n.Int(form, 0)}).Reshaped(Shape()));
  }
  if (form == "value_float") {
    return n.GiveConstant(FloatList({n.Float(form, 0)}).Reshaped(Shape()));
  }
  return InvalidInput(fmt::format("{} is not supported; numbers are", form));
}

Status ImportConstantOfShape(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> shape, n.StaticInts(0, "shape"));
  AttributeValue value = 0.0;
  DType dtype = DType::kF32;
  if (onnx::TensorProto* proto = n.TensorAttribute("value"); proto != nullptr) {
    WSI_ASSIGN_OR_RETURN(const Tensor tensor, TakeTensor(*proto, n.state().external));
    if (tensor.shape().ElementCount() != 1) {
      return InvalidInput(
          fmt::format("value must be one element, is {}", tensor.shape().ToString()));
    }
    dtype = tensor.dtype();
    if (IsFloat(dtype)) {
      value = tensor.ToDoubles().front();
    } else {
      value = tensor.ToInts().front();
    }
  }
  return n.Give("ConstantOfShape", {},
                {{"shape", std::move(shape)},
                 {"value", value},
                 {"dtype", std::string(DTypeName(n.state().GraphType(dtype)))}});
}

Status ImportRange(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  Attributes attributes{{"dtype", std::string(DTypeName(n.InputType(0)))}};
  constexpr std::string_view kOperands[] = {"start", "limit", "delta"};
  for (int i = 0; i < 3; ++i) {
    const std::string_view what = kOperands[i];
    WSI_ASSIGN_OR_RETURN(const Tensor* tensor, n.StaticInput(i, what));
    if (tensor->shape().ElementCount() != 1 || n.InputType(i) != n.InputType(0)) {
      return InvalidInput("start, limit and delta must be single numbers of one type");
    }
    if (IsFloat(tensor->dtype())) {
      attributes.Set(what, tensor->ToDoubles().front());
    } else {
      attributes.Set(what, tensor->ToInts().front());
    }
  }
  return n.Give("Range", {}, std::move(attributes));
}

Status ImportShape(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const int64_t rank = n.InputShape(0).rank();
  // Bounds out of range are clamped, as in Slice.
  const auto bound = [&](std::string_view name, int64_t otherwise) {
    const int64_t given = n.Int(name, otherwise);
    const int64_t from_front = given < 0 && given >= -rank ? given + rank : given;
    return std::clamp<int64_t>(from_front, 0, rank);
  };
  const int64_t start = bound("start", 0);
  const int64_t end = std::max(start, bound("end", rank));
  return n.Give("Shape", {n.Input(0)}, {{"start", start}, {"end", end}});
}

Status ImportSize(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  return n.Give("Size", {n.Input(0)});
}

}  // namespace wsi
