#include "compiler/ops/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/ops/attribute_check.h"
#include "compiler/ops/band_rules.h"
#include "compiler/ops/cost.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/operand_check.h"

namespace wsi {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

InferredTypes InferCastLike(const OpView& op) {
  return std::vector<TensorType>{{op.input(1).dtype, op.input_shape(0)}};
}

FoldedTensors FoldCastLike(const OpView& op, std::span<const Tensor* const> inputs) {
  return OneTensor(Constant(inputs, 0).Cast(op.input(1).dtype));
}

// Attribute `value` as a scalar of type `dtype`, which must hold it exactly if integral.
Result<Tensor> CheckedScalar(const Attributes& attributes, DType dtype) {
  const AttributeValue* value = attributes.Find("value");
  if (value != nullptr && std::holds_alternative<double>(*value)) {
    const double number = std::get<double>(*value);
    const bool integral = std::trunc(number) == number && std::abs(number) < 0x1p63;
    if (!IsFloat(dtype) && !integral) {
      return InvalidInput(fmt::format("attribute value {} is no {}", number, DTypeName(dtype)));
    }
    if (IsFloat(dtype)) return TensorFromDoubles(dtype, Shape(), std::span(&number, 1));
    const auto integer = static_cast<int64_t>(number);
    return TensorFromInts(dtype, Shape(), std::span(&integer, 1));
  }
  WSI_ASSIGN_OR_RETURN(const int64_t number, CheckedInt(attributes, "value", kLowest, kHighest, 0));
  return TensorFromInts(dtype, Shape(), std::span(&number, 1));
}

InferredTypes InferFill(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const DType dtype, CheckedDType(op.attributes(), "dtype"));
  WSI_ASSIGN_OR_RETURN(Shape shape, CheckedShape(op.attributes(), "shape"));
  WSI_RETURN_IF_ERROR(CheckedScalar(op.attributes(), dtype).status());
  return std::vector<TensorType>{{dtype, std::move(shape)}};
}

FoldedTensors FoldFill(const OpView& op, std::span<const Tensor* const> /*inputs*/) {
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferFill(op));
  WSI_ASSIGN_OR_RETURN(const Tensor scalar, CheckedScalar(op.attributes(), types[0].dtype));
  return OneTensor(Stretch(scalar, types[0].shape));
}

struct IntRange {
  int64_t start = 0;
  int64_t limit = 0;
  int64_t delta = 1;
};

Result<IntRange> CheckedIntRange(const Attributes& attributes) {
  IntRange range;
  WSI_ASSIGN_OR_RETURN(range.start, CheckedInt(attributes, "start", kLowest, kHighest));
  WSI_ASSIGN_OR_RETURN(range.limit, CheckedInt(attributes, "limit", kLowest, kHighest));
  WSI_ASSIGN_OR_RETURN(range.delta, CheckedInt(attributes, "delta", kLowest, kHighest));
  return range;
}

// max(ceil((limit - start) / delta), 0), which ONNX's Range has elements.
Result<int64_t> RangeCount(const Attributes& attributes, DType dtype) {
  if (IsFloat(dtype)) {
    WSI_ASSIGN_OR_RETURN(const double start, CheckedFloat(attributes, "start"));
    WSI_ASSIGN_OR_RETURN(const double limit, CheckedFloat(attributes, "limit"));
    WSI_ASSIGN_OR_RETURN(const double delta, CheckedFloat(attributes, "delta"));
    const double count = std::ceil((limit - start) / delta);
    if (!std::isfinite(count) || count >= 0x1p60) {
      return InvalidInput(fmt::format("range from {} to {} by {} never ends", start, limit, delta));
    }
    return std::max<int64_t>(static_cast<int64_t>(count), 0);
  }
  WSI_ASSIGN_OR_RETURN(const IntRange range, CheckedIntRange(attributes));
  if (range.delta == 0) return InvalidInput("attribute delta is 0");
  int64_t distance = 0;
  if (__builtin_sub_overflow(range.limit, range.start, &distance) || distance == kLowest) {
    return InvalidInput(
        fmt::format("range from {} to {} overflows 64 bits", range.start, range.limit));
  }
  if (distance == 0 || (distance > 0) != (range.delta > 0)) return int64_t{0};
  return distance / range.delta + (distance % range.delta == 0 ? 0 : 1);
}

InferredTypes InferRange(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const DType dtype, CheckedDType(op.attributes(), "dtype"));
  WSI_ASSIGN_OR_RETURN(const int64_t count, RangeCount(op.attributes(), dtype));
  WSI_ASSIGN_OR_RETURN(Shape shape, Shape::Make(std::span(&count, 1)));
  return std::vector<TensorType>{{dtype, std::move(shape)}};
}

FoldedTensors FoldRange(const OpView& op, std::span<const Tensor* const> /*inputs*/) {
  WSI_ASSIGN_OR_RETURN(const std::vector<TensorType> types, InferRange(op));
  const TensorType& type = types[0];
  const auto count = static_cast<size_t>(type.shape[0]);
  if (IsFloat(type.dtype)) {
    const double start = op.attributes().Float("start", 0);
    const double delta = op.attributes().Float("delta", 1);
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = start + static_cast<double>(i) * delta;
    return OneTensor(TensorFromDoubles(type.dtype, type.shape, values));
  }
  WSI_ASSIGN_OR_RETURN(const IntRange range, CheckedIntRange(op.attributes()));
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = range.start + static_cast<int64_t>(i) * range.delta;
  }
  return OneTensor(TensorFromInts(type.dtype, type.shape, values));
}

struct AxisSpan {
  int64_t begin = 0;
  int64_t end = 0;
};

// Attributes start and end: negative from the back, then brought into [0, rank].
Result<AxisSpan> CheckedAxisSpan(const OpView& op) {
  const int64_t rank = op.input_shape(0).rank();
  AxisSpan span;
  WSI_ASSIGN_OR_RETURN(span.begin, CheckedInt(op.attributes(), "start", kLowest, kHighest, 0));
  WSI_ASSIGN_OR_RETURN(span.end, CheckedInt(op.attributes(), "end", kLowest, kHighest, rank));
  for (int64_t* bound : {&span.begin, &span.end}) {
    *bound = std::clamp<int64_t>(*bound < 0 ? *bound + rank : *bound, 0, rank);
  }
  span.end = std::max(span.begin, span.end);
  return span;
}

InferredTypes InferShape(const OpView& op) {
  WSI_ASSIGN_OR_RETURN(const AxisSpan span, CheckedAxisSpan(op));
  return std::vector<TensorType>{{DType::kI64, Shape{span.end - span.begin}}};
}

FoldedTensors FoldShape(const OpView& op, std::span<const Tensor* const> /*inputs*/) {
  WSI_ASSIGN_OR_RETURN(const AxisSpan span, CheckedAxisSpan(op));
  const auto sizes = op.input_shape(0).sizes().subspan(static_cast<size_t>(span.begin),
                                                       static_cast<size_t>(span.end - span.begin));
  return OneTensor(TensorFromInts(DType::kI64, Shape{span.end - span.begin}, sizes));
}

InferredTypes InferSize(const OpView& /*op*/) {
  return std::vector<TensorType>{{DType::kI64, Shape()}};
}

FoldedTensors FoldSize(const OpView& op, std::span<const Tensor* const> /*inputs*/) {
  const int64_t count = op.input_shape(0).ElementCount();
  return OneTensor(TensorFromInts(DType::kI64, Shape(), std::span(&count, 1)));
}

constexpr std::string_view kConstantResult = "the result does not depend on any element";

constexpr OpDef Known(std::string_view name, std::string_view summary, int inputs,
                      InferFunction infer, FoldFunction fold) {
  return {.name = name,
          .summary = summary,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .infer = infer,
          .gradient = {.none_because = kConstantResult},
          .cost = MoveCost,
          .half = HalfPolicy::kNeutral,
          .rows = RowKind::kNone,
          .layout = LayoutRule::kFixed,
          .fold = fold};
}

}  // namespace

constinit const OpDef kCastLike = [] {
  OpDef op = Known("CastLike", "x, like -> x as like's type; Cast where the type is known", 2,
                   InferCastLike, FoldCastLike);
  op.gradient = {.none_because = "it is imported as Cast"};
  op.layout = LayoutRule::kAny;
  op.rows = RowKind::kPointwise;
  return op;
}();
constinit const OpDef kConstantOfShape = [] {
  OpDef op = Known("ConstantOfShape",
                   "-> {value=0} everywhere {shape, dtype: \"f32\", \"i64\", ...}; folded only", 0,
                   InferFill, FoldFill);
  op.rows = RowKind::kMoved;
  op.band = FillBand;
  return op;
}();
constinit const OpDef kFill = [] {
  OpDef op = Known("Fill", "-> {value} everywhere {shape, dtype: \"f32\", \"i64\", ...}", 0,
                   InferFill, nullptr);
  op.is_onnx = false;
  op.rows = RowKind::kMoved;
  op.band = FillBand;
  return op;
}();
constinit const OpDef kRange = Known(
    "Range", "-> start, start + delta, ... before limit {start, limit, delta, dtype}; folded only",
    0, InferRange, FoldRange);
constinit const OpDef kShape =
    Known("Shape", "x -> its sizes, i64 {start=0, end=rank}; folded only, whatever x holds", 1,
          InferShape, FoldShape);
constinit const OpDef kSize = Known(
    "Size", "x -> its element count, i64; folded only, whatever x holds", 1, InferSize, FoldSize);

}  // namespace wsi
