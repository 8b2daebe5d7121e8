#include "compiler/ops/linear.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

struct Transposes {
  bool a = false;
  bool b = false;
};

Result<Transposes> CheckedTransposes(const Attributes& attributes) {
  Transposes transposes;
  WSI_ASSIGN_OR_RETURN(transposes.a, CheckedFlag(attributes, "transA", false));
  WSI_ASSIGN_OR_RETURN(transposes.b, CheckedFlag(attributes, "transB", false));
  return transposes;
}

// y = a' b' with a' [batch..., m, k] and b' [batch..., k, n].
struct Product {
  Shape a;  // Both with at least two axes: a vector is a row of a, a column of b.
  Shape b;
  std::vector<int64_t> batch;  // What the leading axes broadcast to.
  int64_t m = 0;
  int64_t k = 0;
  int64_t n = 0;
  Shape y;  // Without the axes that vectors got here.
};

std::vector<int64_t> Behind(std::vector<int64_t> batch, std::initializer_list<int64_t> sizes) {
  batch.insert(batch.end(), sizes);
  return batch;
}

Result<Shape> Leading(const Shape& shape) {
  return Shape::Make(shape.sizes().first(shape.sizes().size() - 2));
}

Result<Product> CheckProduct(const Shape& a, const Shape& b, Transposes transposes) {
  if (a.rank() == 0 || b.rank() == 0) return InvalidInput("a scalar has no matrix product");
  if ((a.rank() == 1 && transposes.a) || (b.rank() == 1 && transposes.b)) {
    return InvalidInput("a vector cannot be transposed");
  }
  Product product;
  product.a = a.rank() == 1 ? Shape{1, a[0]} : a;
  product.b = b.rank() == 1 ? Shape{b[0], 1} : b;
  product.m = product.a[transposes.a ? -1 : -2];
  product.k = product.a[transposes.a ? -2 : -1];
  product.n = product.b[transposes.b ? -2 : -1];
  if (const int64_t k = product.b[transposes.b ? -1 : -2]; k != product.k) {
    return InvalidInput(fmt::format("shapes {} and {}{}{} disagree on the inner size: {} and {}",
                                    a.ToString(), b.ToString(), transposes.a ? ", transA" : "",
                                    transposes.b ? ", transB" : "", product.k, k));
  }
  WSI_ASSIGN_OR_RETURN(const Shape leading_a, Leading(product.a));
  WSI_ASSIGN_OR_RETURN(const Shape leading_b, Leading(product.b));
  WSI_ASSIGN_OR_RETURN(const Shape batch, BroadcastShapes(leading_a, leading_b));
  product.batch.assign(batch.begin(), batch.end());
  std::vector<int64_t> y = product.batch;
  if (a.rank() > 1) y.push_back(product.m);
  if (b.rank() > 1) y.push_back(product.n);
  WSI_ASSIGN_OR_RETURN(product.y, Shape::Make(y));
  return product;
}

InferredTypes InferMatMul(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_RETURN_IF_ERROR(WantSameType(op, 1, 0));
  WSI_ASSIGN_OR_RETURN(const Transposes transposes, CheckedTransposes(op.attributes()));
  WSI_ASSIGN_OR_RETURN(Product product,
                       CheckProduct(op.input_shape(0), op.input_shape(1), transposes));
  WSI_ASSIGN_OR_RETURN(const DType dtype, CheckedSumType(op));
  return std::vector<TensorType>{{dtype, std::move(product.y)}};
}

InferredTypes InferGemm(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantRank(op, 0, 2, 2));
  WSI_RETURN_IF_ERROR(WantRank(op, 1, 2, 2));
  WSI_RETURN_IF_ERROR(WantSameType(op, 2, 0));
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "alpha", 1.0).status());
  WSI_RETURN_IF_ERROR(CheckedFloat(op.attributes(), "beta", 1.0).status());
  WSI_ASSIGN_OR_RETURN(std::vector<TensorType> types, InferMatMul(op));
  if (!op.HasInput(2)) return types;
  const Shape& y = types[0].shape;
  const Result<Shape> stretched = BroadcastShapes(op.input_shape(2), y);
  if (!stretched.ok() || *stretched != y) {
    return InvalidInput(fmt::format("input 2 has shape {}, which does not broadcast to {}",
                                    op.input_shape(2).ToString(), y.ToString()));
  }
  return types;
}

// da' = dy b'^T and db' = a'^T dy; where an operand is stored transposed, the transposed
// equation gives its gradient as it is stored. `attributes` go along (Gemm's alpha).
Result<ValueId> EmitLeftGrad(GradBuilder& g, std::string_view op, ValueId dy, ValueId b,
                             Transposes transposes, Attributes attributes) {
  attributes.Set("transA", int64_t{transposes.a && transposes.b});
  attributes.Set("transB", int64_t{transposes.a || !transposes.b});
  return transposes.a ? g.Emit(op, {b, dy}, attributes) : g.Emit(op, {dy, b}, attributes);
}

Result<ValueId> EmitRightGrad(GradBuilder& g, std::string_view op, ValueId a, ValueId dy,
                              Transposes transposes, Attributes attributes) {
  attributes.Set("transA", int64_t{transposes.b || !transposes.a});
  attributes.Set("transB", int64_t{transposes.b && transposes.a});
  return transposes.b ? g.Emit(op, {dy, a}, attributes) : g.Emit(op, {a, dy}, attributes);
}

Status GradGemm(GradBuilder& g) {
  const Attributes attributes = g.op().attributes();
  const bool has_bias = g.op().HasInput(2);
  WSI_ASSIGN_OR_RETURN(const Transposes transposes, CheckedTransposes(attributes));
  const Attributes scaled = {{"alpha", attributes.Float("alpha", 1)}, {"beta", 1.0}};
  const ValueId dy = g.OutputGrad(0);
  if (g.WantsInputGrad(0)) {
    WSI_RETURN_IF_ERROR(SetGrad(g, 0, EmitLeftGrad(g, "Gemm", dy, g.Input(1), transposes, scaled)));
  }
  if (g.WantsInputGrad(1)) {
    WSI_RETURN_IF_ERROR(
        SetGrad(g, 1, EmitRightGrad(g, "Gemm", g.Input(0), dy, transposes, scaled)));
  }
  if (!has_bias || !g.WantsInputGrad(2)) return {};
  WSI_ASSIGN_OR_RETURN(const ValueId sum,
                       SumToShape(g, dy, g.op().output_shape(0), g.op().input_shape(2)));
  return SetGrad(g, 2, EmitScaled(g, sum, attributes.Float("beta", 1)));
}

Result<ValueId> Reshaped(GradBuilder& g, ValueId value, const Shape& from, const Shape& to) {
  if (from == to) return value;
  return g.Emit("Reshape", {value}, {{"shape", std::vector<int64_t>(to.begin(), to.end())}});
}

// `gradient` of batch and `rows` x `columns`, as the gradient of input i, which is
// `matrix` with two axes at least.
Status SetMatrixGrad(GradBuilder& g, int i, Result<ValueId> gradient,
                     const std::vector<int64_t>& batch, const Shape& matrix) {
  if (!gradient.ok()) return gradient.status();
  WSI_ASSIGN_OR_RETURN(const Shape from, Shape::Make(Behind(batch, {matrix[-2], matrix[-1]})));
  WSI_ASSIGN_OR_RETURN(const ValueId sum, SumToShape(g, *gradient, from, matrix));
  const Shape to = g.op().input_shape(i);
  return SetGrad(g, i, Reshaped(g, sum, matrix, to));
}

Status GradMatMul(GradBuilder& g) {
  WSI_ASSIGN_OR_RETURN(const Transposes transposes, CheckedTransposes(g.op().attributes()));
  const Shape a_shape = g.op().input_shape(0);
  const Shape b_shape = g.op().input_shape(1);
  WSI_ASSIGN_OR_RETURN(const Product p, CheckProduct(a_shape, b_shape, transposes));
  WSI_ASSIGN_OR_RETURN(const Shape full, Shape::Make(Behind(p.batch, {p.m, p.n})));
  WSI_ASSIGN_OR_RETURN(const ValueId dy, Reshaped(g, g.OutputGrad(0), p.y, full));
  if (g.WantsInputGrad(0)) {
    WSI_ASSIGN_OR_RETURN(const ValueId b, Reshaped(g, g.Input(1), b_shape, p.b));
    WSI_RETURN_IF_ERROR(
        SetMatrixGrad(g, 0, EmitLeftGrad(g, "MatMul", dy, b, transposes, {}), p.batch, p.a));
  }
  if (!g.WantsInputGrad(1)) return {};
  if (p.b.rank() == 2 && p.a.rank() > 2 && !transposes.a) {
    // One product over all rows of all matrices, instead of one each and their sum.
    const int64_t rows = a_shape.ElementCount() / std::max<int64_t>(p.k, 1);
    WSI_ASSIGN_OR_RETURN(const ValueId flat_a, Reshaped(g, g.Input(0), a_shape, {rows, p.k}));
    WSI_ASSIGN_OR_RETURN(const ValueId flat_dy, Reshaped(g, dy, full, {rows, p.n}));
    return SetMatrixGrad(g, 1, EmitRightGrad(g, "MatMul", flat_a, flat_dy, transposes, {}), {},
                         p.b);
  }
  WSI_ASSIGN_OR_RETURN(const ValueId a, Reshaped(g, g.Input(0), a_shape, p.a));
  return SetMatrixGrad(g, 1, EmitRightGrad(g, "MatMul", a, dy, transposes, {}), p.batch, p.b);
}

// Two operations per element of the result and inner position.
Cost ProductCost(const OpView& op) {
  const bool transposed = op.attributes().Int("transA", 0) == 1;
  const Shape& a = op.input_shape(0);
  const int64_t inner = a[transposed && a.rank() > 1 ? -2 : -1];
  const Cost cost = PointwiseCost(op);
  return {2 * cost.flops * static_cast<double>(inner), cost.bytes};
}

}  // namespace

constinit const OpDef kGemm = {
    .name = "Gemm",
    .summary =
        "a, b, [c] -> alpha * a' b' + beta * c, ' transposing where transA, transB {alpha=1, "
        "beta=1, transA=0, transB=0, dtype: of the result, a's or f32}; c broadcasts to the result",
    .min_inputs = 2,
    .max_inputs = 3,
    .infer = InferGemm,
    .gradient = {.build = GradGemm},
    .cost = ProductCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .half_sum = true,
    .rows = RowKind::kOtherAxes,
    .band = MatMulBand,
    .layout = LayoutRule::kFixed};
constinit const OpDef kMatMul = {
    .name = "MatMul",
    .summary =
        "a, b -> a' b', ' transposing the last two axes where transA, transB {transA=0, "
        "transB=0, dtype: of the result, a's or f32}; leading axes broadcast; a vector is a row of "
        "a or a column of b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferMatMul,
    .gradient = {.build = GradMatMul},
    .cost = ProductCost,
    .is_matrix = true,
    .half = HalfPolicy::kMatrix,
    .half_sum = true,
    .rows = RowKind::kOtherAxes,
    .band = MatMulBand,
    .layout = LayoutRule::kFixed};

}  // namespace wsi
