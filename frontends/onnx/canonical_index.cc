// Operators that pick elements by integer tensors, or by a pattern known here.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

using Sizes = std::vector<int64_t>;

Sizes SizesOf(const Shape& shape) { return {shape.begin(), shape.end()}; }

int64_t Product(const Sizes& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

Result<ValueId> Reshaped(NodeImport& n, ValueId value, Sizes sizes) {
  return n.Emit("Reshape", {value}, {{"shape", std::move(sizes)}});
}

ValueId IntConstant(NodeImport& n, const Shape& shape, const Sizes& values) {
  return n.state().graph.AddConstant(n.name() + "/integers", Tensor::Of<int64_t>(shape, values));
}

// Indices from the front: those below 0 plus `sizes`, a constant that broadcasts.
Result<ValueId> FromFront(NodeImport& n, ValueId indices, ValueId sizes) {
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(indices, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId negative, n.Emit("Less", {indices, zero}));
  WSI_ASSIGN_OR_RETURN(const ValueId shifted, n.Emit("Add", {indices, sizes}));
  return n.Emit("Where", {negative, shifted, indices});
}

Result<ValueId> AsInt64(NodeImport& n, int i) {
  if (n.InputType(i) == DType::kI64) return n.Input(i);
  return n.Emit("Cast", {n.Input(i)}, {{"to", std::string("i64")}});
}

}  // namespace

// The canonical Gather takes a list of indices.
Status ImportGather(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape x = n.InputShape(0);
  const Shape indices = n.InputShape(1);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), x.rank()));
  const Attributes attributes = {{"axis", int64_t{axis}}};
  if (indices.rank() == 1) return n.Give("Gather", n.inputs(), attributes);
  WSI_ASSIGN_OR_RETURN(const ValueId list, Reshaped(n, n.Input(1), {indices.ElementCount()}));
  WSI_ASSIGN_OR_RETURN(const ValueId slices, n.Emit("Gather", {n.Input(0), list}, attributes));
  Sizes sizes(x.begin(), x.begin() + axis);
  sizes.insert(sizes.end(), indices.begin(), indices.end());
  sizes.insert(sizes.end(), x.begin() + axis + 1, x.end());
  return n.Give("Reshape", {slices}, {{"shape", std::move(sizes)}});
}

Status ImportGatherElements(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), n.InputShape(0).rank()));
  return n.Give("GatherElements", n.inputs(), {{"axis", int64_t{axis}}});
}

Status ImportScatterElements(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), n.InputShape(0).rank()));
  return n.Give("ScatterElements", n.inputs(),
                {{"axis", int64_t{axis}}, {"reduction", n.String("reduction", "none")}});
}

namespace {

// Where the last axis of an index tensor names positions of the axes from `batch` on: the
// tensor as rows, and for every index tuple the number of its row.
struct RowIndices {
  int64_t rows = 1;
  Sizes row;      // Sizes of a row.
  Sizes batch;    // Sizes of the axes of the index tensor before the last.
  ValueId index;  // [product of batch]
};

Result<RowIndices> ReadRowIndices(NodeImport& n, const Shape& x, int batch) {
  const Shape indices = n.InputShape(1);
  const int tuple = indices.rank() == 0 ? -1 : static_cast<int>(indices[-1]);
  if (tuple < 1 || batch + tuple > x.rank() || batch >= indices.rank()) {
    return InvalidInput(fmt::format("indices {} do not go with data {} and batch_dims {}",
                                    indices.ToString(), x.ToString(), batch));
  }
  for (int a = 0; a < batch; ++a) {
    if (indices[a] != x[a]) {
      return InvalidInput(fmt::format("indices {} and data {} differ in batch axis {}",
                                      indices.ToString(), x.ToString(), a));
    }
  }
  RowIndices found;
  Sizes sizes;                                   // Of the axes that tuples index.
  Sizes strides(static_cast<size_t>(tuple), 1);  // In rows.
  for (int i = 0; i < tuple; ++i) sizes.push_back(x[batch + i]);
  for (size_t i = strides.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * sizes[i];
  const Sizes lead(x.begin(), x.begin() + batch);
  found.rows = Product(lead) * Product(sizes);
  found.row.assign(x.begin() + batch + tuple, x.end());
  found.batch.assign(indices.begin(), indices.end() - 1);
  WSI_ASSIGN_OR_RETURN(ValueId index, AsInt64(n, 1));
  WSI_ASSIGN_OR_RETURN(index, FromFront(n, index, IntConstant(n, Shape{tuple}, sizes)));
  WSI_ASSIGN_OR_RETURN(index, n.Emit("Mul", {index, IntConstant(n, Shape{tuple}, strides)}));
  const Attributes over_tuple = {{"axes", Sizes{indices.rank() - 1}}, {"keepdims", int64_t{0}}};
  WSI_ASSIGN_OR_RETURN(index, n.Emit("ReduceSum", {index}, over_tuple));
  const int64_t batches = Product(lead);
  if (batches > 1) {
    Sizes offsets(static_cast<size_t>(batches));
    for (int64_t b = 0; b < batches; ++b) offsets[static_cast<size_t>(b)] = b * Product(sizes);
    WSI_ASSIGN_OR_RETURN(index, Reshaped(n, index, {batches, Product(found.batch) / batches}));
    WSI_ASSIGN_OR_RETURN(index, n.Emit("Add", {index, IntConstant(n, Shape{batches, 1}, offsets)}));
  }
  WSI_ASSIGN_OR_RETURN(found.index, Reshaped(n, index, {Product(found.batch)}));
  return found;
}

}  // namespace

Status ImportGatherND(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape x = n.InputShape(0);
  const int64_t batch = n.Int("batch_dims", 0);
  if (batch < 0 || batch >= x.rank()) {
    return InvalidInput(fmt::format("batch_dims is {}; allowed are 0 to {}", batch, x.rank() - 1));
  }
  WSI_ASSIGN_OR_RETURN(const RowIndices rows, ReadRowIndices(n, x, static_cast<int>(batch)));
  WSI_ASSIGN_OR_RETURN(const ValueId data, Reshaped(n, n.Input(0), {rows.rows, Product(rows.row)}));
  WSI_ASSIGN_OR_RETURN(const ValueId slices,
                       n.Emit("Gather", {data, rows.index}, {{"axis", int64_t{0}}}));
  Sizes sizes = rows.batch;
  sizes.insert(sizes.end(), rows.row.begin(), rows.row.end());
  return n.Give("Reshape", {slices}, {{"shape", std::move(sizes)}});
}

// Whole rows are scattered: each index counts for every element of its row.
Status ImportScatterND(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  const Shape x = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const RowIndices rows, ReadRowIndices(n, x, 0));
  const int64_t count = Product(rows.batch);
  const int64_t width = Product(rows.row);
  if (n.InputShape(2).ElementCount() != count * width) {
    return InvalidInput(fmt::format("updates {} do not go with indices {} and data {}",
                                    n.InputShape(2).ToString(), n.InputShape(1).ToString(),
                                    x.ToString()));
  }
  WSI_ASSIGN_OR_RETURN(ValueId index, Reshaped(n, rows.index, {count, 1}));
  if (width != 1) {
    WSI_ASSIGN_OR_RETURN(index, n.Emit("Expand", {index}, {{"shape", Sizes{count, width}}}));
  }
  WSI_ASSIGN_OR_RETURN(const ValueId data, Reshaped(n, n.Input(0), {rows.rows, width}));
  WSI_ASSIGN_OR_RETURN(const ValueId updates, Reshaped(n, n.Input(2), {count, width}));
  WSI_ASSIGN_OR_RETURN(
      const ValueId result,
      n.Emit("ScatterElements", {data, index, updates},
             {{"axis", int64_t{0}}, {"reduction", n.String("reduction", "none")}}));
  return n.Give("Reshape", {result}, {{"shape", SizesOf(x)}});
}

// An element is on where its index equals the position along the new axis.
Status ImportOneHot(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  const Shape indices = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const double depth_number, n.StaticFloat(1, "depth"));
  const auto depth = static_cast<int64_t>(depth_number);
  if (depth < 1) return InvalidInput(fmt::format("depth is {}; allowed is 1 and more", depth));
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", -1), indices.rank() + 1));
  if (n.InputShape(2) != Shape{2}) {
    return InvalidInput(
        fmt::format("values is {}; it must hold two numbers", n.InputShape(2).ToString()));
  }
  WSI_ASSIGN_OR_RETURN(ValueId index, AsInt64(n, 0));
  WSI_ASSIGN_OR_RETURN(index, FromFront(n, index, IntConstant(n, Shape(), {depth})));
  Sizes sizes = SizesOf(indices);
  sizes.insert(sizes.begin() + axis, 1);
  WSI_ASSIGN_OR_RETURN(index, Reshaped(n, index, sizes));
  Sizes positions(static_cast<size_t>(depth));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  Sizes along(static_cast<size_t>(indices.rank() + 1), 1);
  along[static_cast<size_t>(axis)] = depth;
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(along));
  WSI_ASSIGN_OR_RETURN(const ValueId is_on,
                       n.Emit("Equal", {index, IntConstant(n, shape, positions)}));
  const auto value = [&](int64_t i) -> Result<ValueId> {
    const Attributes slice = {
        {"starts", Sizes{i}}, {"ends", Sizes{i + 1}}, {"axes", Sizes{0}}, {"steps", Sizes{1}}};
    WSI_ASSIGN_OR_RETURN(const ValueId number, n.Emit("Slice", {n.Input(2)}, slice));
    return Reshaped(n, number, {});
  };
  WSI_ASSIGN_OR_RETURN(const ValueId off, value(0));
  WSI_ASSIGN_OR_RETURN(const ValueId on, value(1));
  return n.Give("Where", {is_on, on, off});
}

Status ImportArgExtreme(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), n.InputShape(0).rank()));
  return n.Give(n.op(), n.inputs(),
                {{"axis", int64_t{axis}},
                 {"keepdims", n.Int("keepdims", 1)},
                 {"select_last_index", n.Int("select_last_index", 0)}});
}

// Opset 10 turned k into an operand.
Status ImportTopK(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(n.opset() < 10 ? 1 : 2));
  const Shape& x = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", -1), x.rank()));
  int64_t k = 0;
  if (n.opset() < 10) {
    k = n.RequiredInt("k");
  } else {
    WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> list, n.StaticInts(1, "K"));
    if (list.size() != 1) return InvalidInput("K must be one number");
    k = list[0];
  }
  n.Ignore("sorted");  // Always.
  return n.GiveMany("TopK", {n.Input(0)},
                    {{"axis", int64_t{axis}}, {"k", k}, {"largest", n.Int("largest", 1)}}, 2);
}

Status ImportCumSum(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  WSI_ASSIGN_OR_RETURN(const double given, n.StaticFloat(1, "axis"));
  WSI_ASSIGN_OR_RETURN(const int axis,
                       NormalizeAxis(static_cast<int64_t>(given), n.InputShape(0).rank()));
  return n.Give("CumSum", {n.Input(0)},
                {{"axis", int64_t{axis}},
                 {"exclusive", n.Int("exclusive", 0)},
                 {"reverse", n.Int("reverse", 0)}});
}

namespace {

// Ones where column - row >= k, of m rows and n columns, as `dtype`.
Result<Tensor> Triangle(NodeImport& node, int64_t m, int64_t n, int64_t k, bool only_diagonal,
                        DType dtype) {
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(Sizes{m, n}));
  WSI_RETURN_IF_ERROR(node.NewConstant(dtype, shape).status());
  WSI_ASSIGN_OR_RETURN(Tensor mask, node.NewConstant(DType::kBool, shape));
  const std::span<uint8_t> values = mask.data<uint8_t>();
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const bool on = only_diagonal ? j - i == k : j - i >= k;
      values[static_cast<size_t>(i * n + j)] = on ? 1 : 0;
    }
  }
  return dtype == DType::kBool ? mask.Clone() : mask.Cast(dtype);
}

}  // namespace

// The elements on and above (below) diagonal k, zeros elsewhere.
Status ImportTrilu(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& x = n.InputShape(0);
  if (x.rank() < 2) {
    return InvalidInput(fmt::format("input {} is no matrix", x.ToString()));
  }
  int64_t k = 0;
  if (n.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(const double given, n.StaticFloat(1, "k"));
    k = static_cast<int64_t>(given);
  }
  const bool upper = n.Int("upper", 1) != 0;
  const int64_t most = x[-1] + x[-2];
  k = std::clamp(k, -most, most);
  // The lower triangle is what is not above the next diagonal.
  WSI_ASSIGN_OR_RETURN(Tensor mask,
                       Triangle(n, x[-2], x[-1], upper ? k : k + 1, false, DType::kBool));
  const ValueId above = n.state().graph.AddConstant(n.name() + "/triangle", std::move(mask));
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(n.Input(0), 0));
  if (upper) return n.Give("Where", {above, n.Input(0), zero});
  return n.Give("Where", {above, zero, n.Input(0)});
}

Status ImportEyeLike(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& x = n.InputShape(0);
  if (x.rank() != 2) return InvalidInput(fmt::format("input {} is no matrix", x.ToString()));
  DType dtype = n.InputType(0);
  if (n.HasAttribute("dtype")) {
    WSI_ASSIGN_OR_RETURN(dtype, DTypeFromOnnx(n.RequiredInt("dtype")));
  }
  WSI_ASSIGN_OR_RETURN(Tensor eye, Triangle(n, x[0], x[1], n.Int("k", 0), true, dtype));
  return n.GiveConstant(std::move(eye));
}

}  // namespace wsi
