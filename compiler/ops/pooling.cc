#include "compiler/ops/pooling.h"

#include <fmt/format.h>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/gradient_rules.h"
#include "compiler/ops/operand_check.h"
#include "compiler/ops/spatial.h"
#include "runtime/base/band.h"

namespace wsi {
namespace {

// What a max-pool's index is stored as: a byte where every window position fits one.
DType IndexType(const Window& window) { return window.Volume() <= 256 ? DType::kU8 : DType::kI32; }

struct Pooling {
  Window window;
  Shape y;
};

// Checks the attributes against an input of shape `x_shape`. A window may hold nothing but
// padding where only the gradient is asked, of a band of rows that it passes over.
Result<Pooling> CheckPooling(const Attributes& attributes, const Shape& x_shape) {
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(attributes));
  WSI_ASSIGN_OR_RETURN(Activation x, SplitActivation(x_shape, channels_last, "the input"));
  Pooling pooling;
  WSI_ASSIGN_OR_RETURN(pooling.window,
                       CheckedWindow(attributes, static_cast<int>(x.spatial.size())));
  if (pooling.window.Volume() > kMaxWindow) {
    return InvalidInput(fmt::format("kernel_shape has {} positions, wants at most 2^31 - 1",
                                    pooling.window.Volume()));
  }
  WSI_ASSIGN_OR_RETURN(pooling.window.ceil_mode, CheckedFlag(attributes, "ceil_mode", false));
  WSI_RETURN_IF_ERROR(CheckedFlag(attributes, "count_include_pad", false).status());
  WSI_ASSIGN_OR_RETURN(x.spatial, WindowOutput(pooling.window, x.spatial));
  WSI_ASSIGN_OR_RETURN(pooling.y, JoinActivation(x, channels_last));
  return pooling;
}

// The same for a node that pools.
Result<Pooling> CheckForwardPooling(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(Pooling pooling, CheckPooling(op.attributes(), op.input_shape(0)));
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(op.attributes()));
  WSI_ASSIGN_OR_RETURN(const Activation x,
                       SplitActivation(op.input_shape(0), channels_last, "the input"));
  WSI_RETURN_IF_ERROR(WantNonemptyWindows(pooling.window, x.spatial));
  return pooling;
}

InferredTypes InferAveragePool(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Pooling pooling, CheckForwardPooling(op));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(pooling.y)}};
}

InferredTypes InferMaxPool(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(const Pooling pooling, CheckForwardPooling(op));
  return std::vector<TensorType>{{op.input(0).dtype, pooling.y},
                                 {IndexType(pooling.window), pooling.y}};
}

InferredTypes InferAveragePoolGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const Pooling pooling, CheckPooling(op.attributes(), x));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, pooling.y));
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), x).status());
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

InferredTypes InferMaxPoolGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const Pooling pooling, CheckPooling(op.attributes(), x));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, pooling.y));
  WSI_RETURN_IF_ERROR(WantShape(op, 1, pooling.y));
  WSI_RETURN_IF_ERROR(WantType(op, 1, IndexType(pooling.window)));
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

// `x_shape` with every spatial size 1.
Result<Shape> GlobalShape(const Attributes& attributes, const Shape& x_shape) {
  WSI_ASSIGN_OR_RETURN(const bool channels_last, ChannelsLast(attributes));
  WSI_ASSIGN_OR_RETURN(Activation x, SplitActivation(x_shape, channels_last, "the input"));
  x.spatial.assign(x.spatial.size(), 1);
  return JoinActivation(x, channels_last);
}

InferredTypes InferGlobalPool(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape y, GlobalShape(op.attributes(), op.input_shape(0)));
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), op.input_shape(0)).status());
  return std::vector<TensorType>{{op.input(0).dtype, std::move(y)}};
}

InferredTypes InferGlobalMaxPool(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(const Shape y, GlobalShape(op.attributes(), op.input_shape(0)));
  return std::vector<TensorType>{{op.input(0).dtype, y}, {DType::kI64, y}};
}

InferredTypes InferGlobalPoolGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantFloat(op, 0));
  WSI_ASSIGN_OR_RETURN(Shape x, CheckedShape(op.attributes(), "input_shape"));
  WSI_ASSIGN_OR_RETURN(const Shape y, GlobalShape(op.attributes(), x));
  WSI_RETURN_IF_ERROR(WantShape(op, 0, y));
  WSI_RETURN_IF_ERROR(WantShape(op, 1, y));
  WSI_RETURN_IF_ERROR(BandOfWhole::Read(op.attributes(), x).status());
  return std::vector<TensorType>{{op.input(0).dtype, std::move(x)}};
}

InferredTypes InferGlobalMaxPoolGrad(const OpView& op) {
  WSI_RETURN_IF_ERROR(WantType(op, 1, DType::kI64));
  return InferGlobalPoolGrad(op);
}

Attributes WithInputShape(const OpView& op) {
  Attributes attributes = op.attributes();
  const Shape& x = op.input_shape(0);
  attributes.Set("input_shape", std::vector<int64_t>(x.begin(), x.end()));
  return attributes;
}

// `gradient_op` of dy alone, or of dy and the index.
Status GradOf(GradBuilder& g, std::string_view gradient_op, bool with_index) {
  WSI_RETURN_IF_ERROR(OnlyFirstOutput(g));
  std::vector<ValueId> inputs = {g.OutputGrad(0)};
  if (!inputs[0].valid()) return {};
  if (with_index) inputs.push_back(NeedOutput(g, 1));
  return SetGrad(g, 0, g.Emit(gradient_op, std::move(inputs), WithInputShape(g.op())));
}

Status GradAveragePool(GradBuilder& g) { return GradOf(g, "AveragePoolGrad", false); }
Status GradMaxPool(GradBuilder& g) { return GradOf(g, "MaxPoolGrad", true); }
Status GradGlobalAveragePool(GradBuilder& g) { return GradOf(g, "GlobalAveragePoolGrad", false); }
Status GradGlobalMaxPool(GradBuilder& g) { return GradOf(g, "GlobalMaxPoolGrad", true); }

double KernelVolume(const OpView& op) {
  double volume = 1;
  for (const int64_t size : op.attributes().Ints("kernel_shape")) {
    volume *= static_cast<double>(size);
  }
  return volume;
}

Cost WindowCost(const OpView& op) {
  const Cost cost = PointwiseCost(op);
  return {cost.flops * KernelVolume(op), cost.bytes};
}

Cost WindowGradCost(const OpView& op) { return ElementCost(op, 0, KernelVolume(op)); }

constexpr OpDef Pool(std::string_view name, std::string_view summary, InferFunction infer,
                     Gradient gradient, CostFunction cost, RowKind rows, BandFunction band) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = cost,
          .half = HalfPolicy::kSafe,
          .rows = rows,
          .band = band,
          .layout = LayoutRule::kChannelsLast};
}

constexpr OpDef PoolGradient(std::string_view name, std::string_view summary, int inputs,
                             InferFunction infer, CostFunction cost, RowKind rows,
                             BandFunction band) {
  OpDef op = Pool(name, summary, infer, {.none_because = kNoSecondDerivative}, cost, rows, band);
  op.is_onnx = false;
  op.min_inputs = inputs;
  op.max_inputs = inputs;
  return op;
}

constexpr OpDef WithIndex(OpDef op) {
  op.max_outputs = 2;
  return op;
}

}  // namespace

constinit const OpDef kAveragePool =
    Pool("AveragePool",
         "x -> y {kernel_shape, strides, dilations, pads, ceil_mode=0, count_include_pad=0, "
         "channels_last=0}",
         InferAveragePool, {.build = GradAveragePool}, WindowCost, RowKind::kWindow, WindowBand);
constinit const OpDef kAveragePoolGrad =
    PoolGradient("AveragePoolGrad", "dy -> dx {AveragePool's attributes, input_shape: of x}", 1,
                 InferAveragePoolGrad, WindowGradCost, RowKind::kWindow, SpreadBand);
constinit const OpDef kGlobalAveragePool = [] {
  OpDef op = Pool("GlobalAveragePool",
                  "x -> mean over the spatial axes, kept as 1 {channels_last=0}", InferGlobalPool,
                  {.build = GradGlobalAveragePool}, ReadCost, RowKind::kSum, GlobalAverageBand);
  op.summed_input = 0;
  op.half = HalfPolicy::kMatrix;
  return op;
}();
constinit const OpDef kGlobalAveragePoolGrad =
    PoolGradient("GlobalAveragePoolGrad",
                 "dy -> dy / positions, spread over {input_shape: of x, channels_last=0}", 1,
                 InferGlobalPoolGrad, PointwiseCost, RowKind::kPointwise, GlobalPoolGradBand);
constinit const OpDef kGlobalMaxPool =
    WithIndex(Pool("GlobalMaxPool",
                   "x -> maximum over the spatial axes, kept as 1, [index i64: row-major spatial "
                   "position, the lowest on ties] {channels_last=0}",
                   InferGlobalMaxPool, {.build = GradGlobalMaxPool}, ReadCost, RowKind::kOtherAxes,
                   GlobalMaxBand));
constinit const OpDef kGlobalMaxPoolGrad =
    PoolGradient("GlobalMaxPoolGrad",
                 "dy, index -> dx: dy at index, else 0 {input_shape: of x, channels_last=0}", 2,
                 InferGlobalMaxPoolGrad, MoveCost, RowKind::kPointwise, GlobalPoolGradBand);
constinit const OpDef kMaxPool = WithIndex(
    Pool("MaxPool",
         "x -> y, [index: row-major position in the window, the lowest on ties; u8, or i32 where "
         "windows exceed 256 positions] {kernel_shape, strides, dilations, pads (of -inf), "
         "ceil_mode=0, channels_last=0}; NaN wins",
         InferMaxPool, {.build = GradMaxPool}, WindowCost, RowKind::kWindow, WindowBand));
constinit const OpDef kMaxPoolGrad =
    PoolGradient("MaxPoolGrad", "dy, index -> dx {MaxPool's attributes, input_shape: of x}", 2,
                 InferMaxPoolGrad, WindowGradCost, RowKind::kWindow, SpreadBand);

}  // namespace wsi
