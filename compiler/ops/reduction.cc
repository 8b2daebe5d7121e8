#include "compiler/ops/reduction.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

// `shape` with size 1 along `axes`.
Shape KeptShape(const Shape& shape, const std::vector<int64_t>& axes) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  for (const int64_t axis : axes) sizes[static_cast<size_t>(axis)] = 1;
  return Shape::Make(sizes).value();
}

InferredTypes InferExtreme(const OpView& op) {
  const Shape& x = op.input_shape(0);
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                       CheckedAxes(op.attributes(), "axes", x.rank()));
  WSI_ASSIGN_OR_RETURN(const bool keep, CheckedFlag(op.attributes(), "keepdims", true));
  WSI_ASSIGN_OR_RETURN(const DType dtype, CheckedSumType(op));
  if (keep) return std::vector<TensorType>{{dtype, KeptShape(x, axes)}};
  std::vector<int64_t> sizes;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) sizes.push_back(x[axis]);
  }
  WSI_ASSIGN_OR_RETURN(Shape y, Shape::Make(sizes));
  return std::vector<TensorType>{{dtype, std::move(y)}};
}

InferredTypes InferReduction(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantNumber(op, 0));
  return InferExtreme(op);
}

InferredTypes InferFloatReduction(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  return InferReduction(op);
}

std::vector<int64_t> SizesOf(const Shape& shape) { return {shape.begin(), shape.end()}; }

// Every element of x gets scale * dy of its sum.
Status Spread(GradBuilder& g, double scale) {
  const Shape x = g.op().input_shape(0);
  const Shape kept = KeptShape(x, g.op().attributes().Ints("axes"));
  const bool reshape = g.op().output_shape(0) != kept;
  WSI_ASSIGN_OR_RETURN(ValueId gradient, EmitScaled(g, g.OutputGrad(0), scale));
  if (reshape) {
    WSI_ASSIGN_OR_RETURN(gradient, g.Emit("Reshape", {gradient}, {{"shape", SizesOf(kept)}}));
  }
  if (kept == x) return SetGrad(g, 0, gradient);
  return SetGrad(g, 0, g.Emit("Expand", {gradient}, {{"shape", SizesOf(x)}}));
}

Status GradReduceSum(GradBuilder& g) { return Spread(g, 1); }

Status GradReduceMean(GradBuilder& g) {
  const auto results = static_cast<double>(g.op().output_shape(0).ElementCount());
  const auto elements = static_cast<double>(g.op().input_shape(0).ElementCount());
  return Spread(g, results / elements);
}

// `value`, of the shape of the result, with ones at the reduced axes.
Result<ValueId> Kept(GradBuilder& g, ValueId value) {
  const Shape kept = KeptShape(g.op().input_shape(0), g.op().attributes().Ints("axes"));
  if (g.op().output_shape(0) == kept) return value;
  return g.Emit("Reshape", {value}, {{"shape", SizesOf(kept)}});
}

Attributes KeepingDims(const GradBuilder& g) {
  return {{"axes", g.op().attributes().Ints("axes")}, {"keepdims", int64_t{1}}};
}

Result<ValueId> EmitCast(GradBuilder& g, ValueId value) {
  const std::string dtype(DTypeName(g.op().output(0).dtype));
  return g.Emit("Cast", {value}, {{"to", dtype}});
}

// Elements equal to the extreme share dy.
Status GradReduceExtreme(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId dy, Kept(g, g.OutputGrad(0)));
  WSI_ASSIGN_OR_RETURN(const ValueId y, Kept(g, g.Output(0)));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, EmitScalar(g, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId is_extreme, g.Emit("Equal", {g.Input(0), y}));
  WSI_ASSIGN_OR_RETURN(ValueId count, EmitCast(g, is_extreme));
  WSI_ASSIGN_OR_RETURN(count, g.Emit("ReduceSum", {count}, KeepingDims(g)));
  WSI_ASSIGN_OR_RETURN(const ValueId share, g.Emit("Div", {dy, count}));
  return SetGrad(g, 0, g.Emit("Where", {is_extreme, share, zero}));
}

// dx = dy * product of the other elements. With p the product of those that are not zero:
// p / x where nothing is zero; of the only zero p; else 0.
Status GradReduceProd(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const ValueId dy, Kept(g, g.OutputGrad(0)));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, EmitScalar(g, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId one, EmitScalar(g, 1));
  WSI_ASSIGN_OR_RETURN(const ValueId is_zero, g.Emit("Equal", {g.Input(0), zero}));
  WSI_ASSIGN_OR_RETURN(ValueId zeros, EmitCast(g, is_zero));
  WSI_ASSIGN_OR_RETURN(zeros, g.Emit("ReduceSum", {zeros}, KeepingDims(g)));
  WSI_ASSIGN_OR_RETURN(const ValueId none, g.Emit("Equal", {zeros, zero}));
  WSI_ASSIGN_OR_RETURN(const ValueId single, g.Emit("Equal", {zeros, one}));
  WSI_ASSIGN_OR_RETURN(const ValueId x, g.Emit("Where", {is_zero, one, g.Input(0)}));
  WSI_ASSIGN_OR_RETURN(ValueId product, g.Emit("ReduceProd", {x}, KeepingDims(g)));
  WSI_ASSIGN_OR_RETURN(product, g.Emit("Mul", {product, dy}));
  WSI_ASSIGN_OR_RETURN(const ValueId at_zero, g.Emit("Where", {single, product, zero}));
  WSI_ASSIGN_OR_RETURN(ValueId elsewhere, g.Emit("Where", {none, product, zero}));
  WSI_ASSIGN_OR_RETURN(elsewhere, g.Emit("Div", {elsewhere, x}));
  return SetGrad(g, 0, g.Emit("Where", {is_zero, at_zero, elsewhere}));
}

// Strides in the result for a walk over x: 0 along reduced axes.
std::vector<int64_t> ResultStrides(const Shape& x, const std::vector<int64_t>& axes) {
  std::vector<int64_t> strides = RowMajorStrides(KeptShape(x, axes));
  for (const int64_t axis : axes) strides[static_cast<size_t>(axis)] = 0;
  return strides;
}

// Combines all elements of a result in row-major order, the first as it is unless
// `start` gives a value to begin with.
template <typename T, typename F>
Result<std::vector<T>> Accumulate(const Tensor& x, const std::vector<T>& values,
                                  const std::vector<int64_t>& axes, size_t results,
                                  std::optional<T> start, F combine) {
  if (values.empty() && results > 0 && !start) {
    return InvalidInput("an extreme of no elements does not exist");
  }
  std::vector<T> sums(results, start.value_or(T{}));
  std::vector<bool> begun(results, start.has_value());
  Status status;
  WalkStrided(x.shape().sizes(), ResultStrides(x.shape(), axes), 0, [&](size_t i, size_t at) {
    if (!begun[at]) {
      sums[at] = values[i];
      begun[at] = true;
      return;
    }
    Result<T> sum = combine(sums[at], values[i]);
    if (sum.ok()) {
      sums[at] = *sum;
    } else if (status.ok()) {
      status = sum.status();
    }
  });
  if (!status.ok()) return status;
  return sums;
}

// `start` is the neutral element; none: there is none.
template <typename FloatFunction, typename IntFunction>
FoldedTensors FoldWith(const OpView& op, std::span<const Tensor* const> inputs,
                       std::optional<int> start, FloatFunction on_floats, IntFunction on_ints,
                       bool mean = false) {
  const Tensor& x = Constant(inputs, 0);
  const std::vector<int64_t> axes = op.attributes().Ints("axes");
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferExtreme(op));
  const Shape& shape = types[0].shape;
  const auto results = static_cast<size_t>(shape.ElementCount());
  if (!IsFloat(x.dtype())) {
    WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> elements, IntsOf(x));
    WSI_ASSIGN_OR_RETURN(
        const std::vector<int64_t> values,
        Accumulate<int64_t>(x, elements, axes, results,
                            start ? std::optional<int64_t>(*start) : std::nullopt, on_ints));
    return OneTensor(TensorFromInts(x.dtype(), shape, values));
  }
  WSI_ASSIGN_OR_RETURN(
      std::vector<double> values,
      Accumulate<double>(x, x.ToDoubles(), axes, results,
                         start ? std::optional<double>(*start) : std::nullopt, on_floats));
  if (mean) {
    const double count =
        static_cast<double>(x.shape().ElementCount()) / static_cast<double>(shape.ElementCount());
    for (double& value : values) value /= count;
  }
  return OneTensor(TensorFromDoubles(types[0].dtype, shape, values));
}

Result<double> AddDoubles(double a, double b) { return a + b; }
Result<double> MultiplyDoubles(double a, double b) { return a * b; }
Result<double> LargerDouble(double a, double b) { return std::isnan(a) || a > b ? a : b; }
Result<double> SmallerDouble(double a, double b) { return std::isnan(a) || a < b ? a : b; }
Result<int64_t> LargerInt(int64_t a, int64_t b) { return std::max(a, b); }
Result<int64_t> SmallerInt(int64_t a, int64_t b) { return std::min(a, b); }

FoldedTensors FoldReduceSum(const OpView& op, std::span<const Tensor* const> inputs) {
  return FoldWith(op, inputs, 0, AddDoubles, CheckedAdd);
}

FoldedTensors FoldReduceMean(const OpView& op, std::span<const Tensor* const> inputs) {
  return FoldWith(op, inputs, 0, AddDoubles, CheckedAdd, true);
}

FoldedTensors FoldReduceProd(const OpView& op, std::span<const Tensor* const> inputs) {
  return FoldWith(op, inputs, 1, MultiplyDoubles, CheckedMul);
}

FoldedTensors FoldReduceMax(const OpView& op, std::span<const Tensor* const> inputs) {
  return FoldWith(op, inputs, {}, LargerDouble, LargerInt);
}

FoldedTensors FoldReduceMin(const OpView& op, std::span<const Tensor* const> inputs) {
  return FoldWith(op, inputs, {}, SmallerDouble, SmallerInt);
}

constexpr OpDef Reduction(std::string_view name, std::string_view summary, Gradient gradient,
                          HalfPolicy half, FoldFunction fold,
                          InferFunction infer = InferReduction) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = ReadCost,
          .half = half,
          .half_sum = half == HalfPolicy::kMatrix,
          .rows = RowKind::kOtherAxes,
          .band = ReductionBand,
          .layout = LayoutRule::kAxes,
          .fold = fold};
}

}  // namespace

constinit const OpDef kReduceMax =
    Reduction("ReduceMax", "x -> maximum over {axes (explicit, >= 0), keepdims=1}; any type",
              {.build = GradReduceExtreme}, HalfPolicy::kSafe, FoldReduceMax, InferExtreme);
constinit const OpDef kReduceMean = Reduction(
    "ReduceMean",
    "x -> mean over {axes (explicit, >= 0), keepdims=1, dtype: of the result, x's or f32}; floats",
    {.build = GradReduceMean}, HalfPolicy::kMatrix, FoldReduceMean, InferFloatReduction);
constinit const OpDef kReduceMin =
    Reduction("ReduceMin", "x -> minimum over {axes (explicit, >= 0), keepdims=1}; any type",
              {.build = GradReduceExtreme}, HalfPolicy::kSafe, FoldReduceMin, InferExtreme);
constinit const OpDef kReduceProd =
    Reduction("ReduceProd", "x -> product over {axes (explicit, >= 0), keepdims=1}",
              {.build = GradReduceProd}, HalfPolicy::kFloat32, FoldReduceProd);
constinit const OpDef kReduceSum = [] {
  OpDef op = Reduction(
      "ReduceSum",
      "x -> sum over {axes (explicit, >= 0), keepdims=1, dtype: of the result, x's or f32}",
      {.build = GradReduceSum}, HalfPolicy::kMatrix, FoldReduceSum);
  op.rows = RowKind::kSum;
  op.band = ReduceSumBand;
  op.summed_input = 0;
  return op;
}();

}  // namespace wsi
