// Elementwise operators and matrix products.
#include <fmt/format.h>

#include <limits>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {

Status ImportIdentity(NodeImport& n) {
  if (Result<std::vector<ValueId>> sequence = n.InputSequence(0); sequence.ok()) {
    n.SetSequence(std::move(sequence).value());
    return {};
  }
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  n.SetOutput(0, n.Input(0));  // Another name: tied weights stay one parameter.
  return {};
}

// Max(a, b, c) = Max(Max(a, b), c); Mean divides the sum at the end.
Status ImportNary(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(std::max(1, n.input_count())));
  const bool mean = n.op() == "Mean";
  const std::string op = mean || n.op() == "Sum" ? "Add" : n.op();
  ValueId folded = n.Input(0);
  for (int i = 1; i < n.input_count(); ++i) {
    if (i + 1 == n.input_count() && !mean) return n.Give(op, {folded, n.Input(i)});
    WSI_ASSIGN_OR_RETURN(folded, n.Emit(op, {folded, n.Input(i)}));
  }
  if (mean && n.input_count() > 1) {
    Tensor count = Tensor::Of<double>(Shape(), std::vector<double>{1.0 / n.input_count()});
    WSI_ASSIGN_OR_RETURN(Tensor factor, count.Cast(n.InputType(0)));
    const ValueId scale = n.state().graph.AddConstant(n.name() + "/factor", std::move(factor));
    return n.Give("Mul", {folded, scale});
  }
  n.SetOutput(0, folded);
  return {};
}

// Opset 12 lets the exponent have a type of its own. Powers of integers that are not known
// now go through f64.
Status ImportPow(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const DType dtype = n.InputType(0);
  const auto cast = [&](ValueId value, DType to) {
    return n.Emit("Cast", {value}, {{"to", std::string(DTypeName(to))}});
  };
  const auto is_known = [&](int i) {
    return n.state().graph.value(n.Input(i)).role == Role::kConstant;
  };
  const bool wide = !IsFloat(dtype) && (IsFloat(n.InputType(1)) || !is_known(0) || !is_known(1));
  const DType type = wide ? DType::kF64 : dtype;
  std::vector<ValueId> operands = n.inputs();
  for (ValueId& operand : operands) {
    if (n.state().graph.value(operand).dtype == type) continue;
    WSI_ASSIGN_OR_RETURN(operand, cast(operand, type));
  }
  if (!wide) return n.Give("Pow", std::move(operands));
  WSI_ASSIGN_OR_RETURN(const ValueId power, n.Emit("Pow", std::move(operands)));
  return n.Give("Cast", {power}, {{"to", std::string(DTypeName(dtype))}});
}

Status ImportMod(NodeImport& n) { return n.Give("Mod", n.inputs(), {{"fmod", n.Int("fmod", 0)}}); }

namespace {

// Of integers: the larger of x and min, then the smaller of that and max, exactly.
Status ClipIntegers(NodeImport& n) {
  ValueId value = n.Input(0);
  if (n.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Max", {value, n.Input(1)}));
  }
  if (n.HasInput(2)) return n.Give("Min", {value, n.Input(2)});
  n.SetOutput(0, value);
  return {};
}

}  // namespace

// Opset 11 turned the limits from attributes into operands.
Status ImportClip(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  if (!IsFloat(n.InputType(0)) && n.opset() >= 11) return ClipIntegers(n);
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  if (n.opset() < 11) {
    low = n.Float("min", low);
    high = n.Float("max", high);
  } else {
    if (n.HasInput(1)) {
      WSI_ASSIGN_OR_RETURN(low, n.StaticFloat(1, "min"));
    }
    if (n.HasInput(2)) {
      WSI_ASSIGN_OR_RETURN(high, n.StaticFloat(2, "max"));
    }
  }
  return n.Give("Clip", {n.Input(0)}, {{"min", low}, {"max", high}});
}

Status ImportCast(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  n.Ignore("saturate");  // Of 8-bit floats, which are not supported.
  n.Ignore("round_mode");
  WSI_ASSIGN_OR_RETURN(const DType to, DTypeFromOnnx(n.RequiredInt("to")));
  return n.Give("Cast", {n.Input(0)}, {{"to", std::string(DTypeName(n.state().GraphType(to)))}});
}

Status ImportCastLike(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  n.Ignore("saturate");
  n.Ignore("round_mode");
  return n.Give("Cast", {n.Input(0)}, {{"to", std::string(DTypeName(n.InputType(1)))}});
}

Status ImportWithAlpha(NodeImport& n) {
  if (n.op() == "HardSigmoid") {
    return n.Give(n.op(), n.inputs(),
                  {{"alpha", n.Float("alpha", 0.2)}, {"beta", n.Float("beta", 0.5)}});
  }
  return n.Give(n.op(), n.inputs(), {{"alpha", n.Float("alpha", n.op() == "Elu" ? 1.0 : 0.01)}});
}

// a <= b is a < b or a = b, false with NaN on either side.
Status ImportOrEqual(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(const ValueId strict,
                       n.Emit(n.op() == "LessOrEqual" ? "Less" : "Greater", n.inputs()));
  WSI_ASSIGN_OR_RETURN(const ValueId equal, n.Emit("Equal", n.inputs()));
  return n.Give("Or", {strict, equal});
}

Status ImportMatMul(NodeImport& n) {
  return n.Give("MatMul", n.inputs(), {{"transA", int64_t{0}}, {"transB", int64_t{0}}});
}

Status ImportGemm(NodeImport& n) {
  return n.Give("Gemm", n.inputs(),
                {{"alpha", n.Float("alpha", 1)},
                 {"beta", n.Float("beta", 1)},
                 {"transA", n.Int("transA", 0)},
                 {"transB", n.Int("transB", 0)}});
}

}  // namespace wsi
