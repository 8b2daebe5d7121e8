// Normalizations over axes, and over neighbouring channels.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"
#include "runtime/base/tensor.h"

namespace wsi {
namespace {

std::vector<int64_t> Sizes(const Shape& shape) { return {shape.begin(), shape.end()}; }

// Input `i`, a scale or bias, as a tensor of shape `elements` and type `dtype`.
Result<ValueId> Fitted(NodeImport& n, int i, const Shape& elements, DType dtype) {
  ValueId value = n.Input(i);
  std::vector<int64_t> sizes = Sizes(n.InputShape(i));
  while (static_cast<int>(sizes.size()) > elements.rank() && sizes.front() == 1) {
    sizes.erase(sizes.begin());
  }
  WSI_ASSIGN_OR_RETURN(const Shape trimmed, Shape::Make(sizes));
  const Result<Shape> stretched = BroadcastShapes(trimmed, elements);
  if (!stretched.ok() || *stretched != elements) {
    return InvalidInput(fmt::format("input {} is {}; allowed is what broadcasts to {}", i,
                                    n.InputShape(i).ToString(), elements.ToString()));
  }
  if (trimmed != n.InputShape(i)) {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Reshape", {value}, {{"shape", sizes}}));
  }
  if (trimmed != elements) {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Expand", {value}, {{"shape", Sizes(elements)}}));
  }
  if (n.InputType(i) != dtype) {
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Cast", {value}, {{"to", std::string(DTypeName(dtype))}}));
  }
  return value;
}

// sum / where it is not 0, else 1: what rows of zeros are divided by.
Result<ValueId> OrOne(NodeImport& n, ValueId sum) {
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(sum, 0));
  WSI_ASSIGN_OR_RETURN(const ValueId one, n.NumberLike(sum, 1));
  WSI_ASSIGN_OR_RETURN(const ValueId is_zero, n.Emit("Equal", {sum, zero}));
  return n.Emit("Where", {is_zero, one, sum});
}

}  // namespace

// LayerNormalization, RMSNormalization.
Status ImportRowNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const bool layer = n.op() == "LayerNormalization";
  n.Ignore("stash_type");  // The precision of the statistics: at least fp32 here in any case.
  const Shape x = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", -1), x.rank()));
  WSI_ASSIGN_OR_RETURN(const Shape elements,
                       Shape::Make(x.sizes().subspan(static_cast<size_t>(axis))));
  const DType dtype = n.InputType(0) == DType::kF64 ? DType::kF64 : DType::kF32;
  std::vector<ValueId> inputs = {n.Input(0)};
  for (int i = 1; i < n.input_count(); ++i) {
    WSI_ASSIGN_OR_RETURN(inputs.emplace_back(), Fitted(n, i, elements, dtype));
  }
  return n.GiveMany(n.op(), std::move(inputs),
                    {{"axis", int64_t{axis}}, {"epsilon", n.Float("epsilon", 1e-5)}},
                    layer ? 3 : 1);
}

// x / |x|, lengths along one axis; rows of zeros stay.
Status ImportLpNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const ValueId x = n.Input(0);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", -1), n.InputShape(0).rank()));
  const int64_t p = n.Int("p", 2);
  if (p != 1 && p != 2) return InvalidInput(fmt::format("p is {}; allowed are 1 and 2", p));
  const Attributes sum = {{"axes", std::vector<int64_t>{axis}}, {"keepdims", int64_t{1}}};
  WSI_ASSIGN_OR_RETURN(ValueId norm, p == 1 ? n.Emit("Abs", {x}) : n.Emit("Mul", {x, x}));
  WSI_ASSIGN_OR_RETURN(norm, n.Emit("ReduceSum", {norm}, sum));
  WSI_ASSIGN_OR_RETURN(norm, OrOne(n, norm));
  if (p == 2) {
    WSI_ASSIGN_OR_RETURN(norm, n.Emit("Sqrt", {norm}));
  }
  return n.Give("Div", {x, norm});
}

// (x - mean) / (deviation + 1e-9), as the operator's own function says.
Status ImportMeanVarianceNormalization(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  std::vector<int64_t> axes = n.Ints("axes", {0, 2, 3});
  for (int64_t& axis : axes) {
    WSI_ASSIGN_OR_RETURN(axis, NormalizeAxis(axis, n.InputShape(0).rank()));
  }
  std::ranges::sort(axes);
  const Attributes over = {{"axes", axes}, {"keepdims", int64_t{1}}};
  WSI_ASSIGN_OR_RETURN(const ValueId mean, n.Emit("ReduceMean", {n.Input(0)}, over));
  WSI_ASSIGN_OR_RETURN(const ValueId centered, n.Emit("Sub", {n.Input(0), mean}));
  WSI_ASSIGN_OR_RETURN(ValueId deviation, n.Emit("Mul", {centered, centered}));
  WSI_ASSIGN_OR_RETURN(deviation, n.Emit("ReduceMean", {deviation}, over));
  WSI_ASSIGN_OR_RETURN(deviation, n.Emit("Sqrt", {deviation}));
  WSI_ASSIGN_OR_RETURN(const ValueId tiny, n.NumberLike(deviation, 1e-9));
  WSI_ASSIGN_OR_RETURN(deviation, n.Emit("Add", {deviation, tiny}));
  return n.Give("Div", {centered, deviation});
}

namespace {

// The weight of the 1 x 1 convolution that sums each channel's neighbourhood, times `factor`.
Result<Tensor> BandWeight(NodeImport& n, int64_t channels, int64_t size, double factor,
                          int spatial) {
  std::vector<int64_t> sizes(static_cast<size_t>(spatial) + 2, 1);
  sizes[0] = channels;
  sizes[1] = channels;
  WSI_ASSIGN_OR_RETURN(const Shape shape, Shape::Make(sizes));
  WSI_ASSIGN_OR_RETURN(Tensor weight, n.NewConstant(DType::kF64, shape));
  const std::span<double> values = weight.data<double>();
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t first = std::max<int64_t>(0, c - (size - 1) / 2);
    const int64_t last = std::min(channels - 1, c + size / 2);
    for (int64_t i = first; i <= last; ++i) values[static_cast<size_t>(c * channels + i)] = factor;
  }
  return weight;
}

}  // namespace

// x / (bias + alpha / size * sum of x^2 over the neighbouring channels)^beta. The sum is a
// 1 x 1 convolution, whose weight is a band.
Status ImportLRN(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& shape = n.InputShape(0);
  if (shape.rank() < 3) {
    return InvalidInput(fmt::format("input {} has no spatial axes", shape.ToString()));
  }
  const ValueId x = n.Input(0);
  const int64_t channels = shape[1];
  const int64_t size = n.RequiredInt("size");
  if (size < 1) return InvalidInput(fmt::format("size is {}; allowed is 1 and more", size));
  const auto spatial = static_cast<size_t>(shape.rank() - 2);
  const double factor = n.Float("alpha", 1e-4) / static_cast<double>(size);
  WSI_ASSIGN_OR_RETURN(const Tensor band, BandWeight(n, channels, std::min(size, 2 * channels),
                                                     factor, static_cast<int>(spatial)));
  WSI_ASSIGN_OR_RETURN(Tensor weight, band.Cast(n.InputType(0)));
  const std::vector<double> biases(static_cast<size_t>(channels), n.Float("bias", 1));
  WSI_ASSIGN_OR_RETURN(Tensor bias, Tensor::Of<double>({channels}, biases).Cast(n.InputType(0)));
  Graph& graph = n.state().graph;
  const ValueId weight_id = graph.AddConstant(n.name() + "/band", std::move(weight));
  const ValueId bias_id = graph.AddConstant(n.name() + "/bias", std::move(bias));
  const std::vector<int64_t> ones(spatial, 1);
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Mul", {x, x}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Conv", {value, weight_id, bias_id},
                                     {{"kernel_shape", ones},
                                      {"strides", ones},
                                      {"dilations", ones},
                                      {"pads", std::vector<int64_t>(2 * spatial, 0)},
                                      {"group", int64_t{1}}}));
  WSI_ASSIGN_OR_RETURN(const ValueId beta, n.NumberLike(value, n.Float("beta", 0.75)));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Pow", {value, beta}));
  return n.Give("Div", {x, value});
}

}  // namespace wsi
