#include "runtime/workspace/cuda_workspace.h"

#include <algorithm>
#include <array>

#include "runtime/backends/launch_check.h"
#include "runtime/base/pointwise_attributes.h"
#include "runtime/workspace/cuda_columns.h"
#include "runtime/workspace/cuda_convolution.h"
#include "runtime/workspace/cuda_lines.h"
#include "runtime/workspace/cuda_product.h"

namespace wsi::cuda {
namespace {

// A launch whose operands are there.
struct Reader {
  wsi::LaunchCheck& check;
  const LaunchSpec& launch;
  const WorkspaceOptions& options;
  const Shape& in(size_t i) const { return launch.inputs[i].shape; }
  const Shape& out(size_t i) const { return launch.outputs[i].shape; }
  DType type() const { return launch.inputs[0].dtype; }
  Bytes element() const { return DTypeBytes(type()); }
};
using BytesOf = Bytes (*)(const Reader& r);

Bytes ConvolutionOf(const Reader& r, const Shape& x, const Shape& w, const Shape& y,
                    ConvolutionKind kind) {
  const Convolution c = ReadConvolution(r.check, x, w, y);
  return r.check.status().ok() ? ConvolutionBytes(c, kind, r.options) : 0;
}
Bytes Conv(const Reader& r) {
  return ConvolutionOf(r, r.in(0), r.in(1), r.out(0), ConvolutionKind::kForward);
}
Bytes ConvInputGrad(const Reader& r) {
  return ConvolutionOf(r, r.out(0), r.in(1), r.in(0), ConvolutionKind::kInputGrad);
}
Bytes ConvWeightGrad(const Reader& r) {
  return ConvolutionOf(r, r.in(0), r.out(0), r.in(1), ConvolutionKind::kWeightGrad);
}

// The last two sizes; a vector is a row on the left, a column on the right.
struct MatrixSizes {
  int64_t rows = 1;
  int64_t columns = 1;
};
MatrixSizes LastTwo(const Shape& shape, bool left, bool transposed) {
  if (shape.rank() == 0) return {};
  if (shape.rank() == 1) return left ? MatrixSizes{1, shape[0]} : MatrixSizes{shape[0], 1};
  if (transposed) return {shape[-1], shape[-2]};
  return {shape[-2], shape[-1]};
}

// Gemm, MatMul.
Bytes Product(const Reader& r) {
  if (r.out(0).ElementCount() == 0) return 0;
  const MatrixSizes a = LastTwo(r.in(0), true, r.check.Flag("transA"));
  const MatrixSizes b = LastTwo(r.in(1), false, r.check.Flag("transB"));
  const Bytes operands = r.in(0).ByteCount(r.type()) + r.in(1).ByteCount(r.type()) +
                         r.out(0).ByteCount(r.launch.outputs[0].dtype);
  return LayOutProduct(a.rows, b.columns, a.columns, r.type()).library +
         ProductLibraryBytes(operands, r.options);
}

// Two sums a channel of an image that is one, as of batch norm.
Bytes ChannelSums(const Reader& r) {
  const Shape& x = r.in(0);
  if (x.rank() < 2 || x.ElementCount() == 0) return 0;
  const ColumnShape shape = {.rows = x.ElementCount() / x[-1], .columns = x[-1]};
  return ColumnSumsBytes(shape, PackWidth(r.element(), shape.columns), 2);
}

// Images [batch, positions, channels].
ColumnShape ImagesOf(const Shape& x) {
  if (x.rank() < 2 || x.ElementCount() == 0) return {.batch = 0};
  return {.batch = x[0], .rows = x.ElementCount() / x[0] / x[-1], .columns = x[-1]};
}
Bytes GlobalAveragePool(const Reader& r) {
  const ColumnShape shape = ImagesOf(r.in(0));
  return ColumnSumsBytes(shape, PackWidth(r.element(), shape.columns), 1);
}
Bytes GlobalMaxPool(const Reader& r) { return GlobalMaximaBytes(ImagesOf(r.in(0))); }

Bytes GroupNorm(const Reader& r) {
  const ColumnShape shape = ImagesOf(r.in(0));
  const int64_t groups = r.check.Int("num_groups", 1, std::max<int64_t>(shape.columns, 1), 1);
  return LayOutGroupNorm(shape, PackWidth(r.element(), shape.columns), groups).end;
}

// LayerNormGrad, RMSNormGrad.
Bytes RowNormGrad(const Reader& r) {
  const Shape& x = r.in(0);
  const int axis = r.check.Axis("axis", x.rank());
  ColumnShape shape;
  for (int i = 0; i < x.rank(); ++i) (i < axis ? shape.rows : shape.columns) *= x[i];
  return ColumnSumsBytes(shape, PackWidth(r.element(), shape.columns), 2);
}

Rows AlongAxis(const Reader& r, const Shape& shape) {
  const int axis = r.check.Axis("axis", shape.rank());
  return r.check.status().ok() ? RowsAlong(shape, axis) : Rows{.outer_count = 0};
}
Bytes ArgExtreme(const Reader& r) { return ExtremesBytes(AlongAxis(r, r.in(0))); }
Bytes CumSum(const Reader& r) { return ScanBytes(AlongAxis(r, r.in(0)), r.type()); }
Bytes TopK(const Reader& r) {
  const Rows rows = AlongAxis(r, r.in(0));
  return TopKBytes(rows, r.check.Int("k", 0, rows.length, 0));
}

Bytes Reduction(const Reader& r) {
  const Shape& x = r.in(0);
  const std::vector<int64_t> axes = r.check.Axes("axes", x.rank());
  std::vector<bool> is_reduced(static_cast<size_t>(x.rank()), false);
  for (const int64_t axis : axes) is_reduced[static_cast<size_t>(axis)] = true;
  int64_t results = 1;
  int64_t terms = 1;
  for (int i = 0; i < x.rank(); ++i) (is_reduced[static_cast<size_t>(i)] ? terms : results) *= x[i];
  const bool sums = r.launch.op == "ReduceSum" || r.launch.op == "ReduceMean";
  const DType dtype = r.type();
  if (sums && IsFloat(dtype) && dtype != DType::kF64) {
    const auto columns = ReducedColumns(x, is_reduced);
    if (columns) return ColumnSumsBytes(*columns, PackWidth(r.element(), columns->columns), 1);
  }
  const bool wide = sums || r.launch.op == "ReduceProd";
  return FoldBytes(results, terms, FoldElement(dtype, wide));
}

// One number over all elements of input 0; AllFinite, SquaredNorm, losses of elements.
Bytes Total(const Reader& r) { return TotalsBytes(1, r.in(0).ElementCount()); }

int64_t PositionsOf(const Shape& scores) {
  return scores.rank() < 2 || scores.ElementCount() == 0 ? 0 : scores.ElementCount() / scores[1];
}
Bytes SoftmaxLoss(const Reader& r) { return LayOutClassLoss(PositionsOf(r.in(0)), true).end; }
Bytes LogLikelihoodLoss(const Reader& r) {
  return LayOutClassLoss(PositionsOf(r.in(0)), false).end;
}
Bytes ClassLossGrad(const Reader& r) { return LayOutClassLossGrad(PositionsOf(r.out(0))).end; }

// Halves are combined in fp32.
Bytes Scatter(const Reader& r) {
  const bool widens = r.type() == DType::kF16 || r.type() == DType::kBF16;
  return widens ? r.in(0).ElementCount() * Bytes{sizeof(float)} : 0;
}

// GatherGrad, ResampleGrad.
Bytes Spread(const Reader& r) {
  const Rows rows = AlongAxis(r, r.out(0));
  return LayOutBuckets(rows.length, r.in(1).ElementCount()).end;
}

Bytes GridSampleGrad(const Reader& r) {
  const Shape& y = r.in(0);
  if (y.rank() < 3 || y.ElementCount() == 0) return 0;
  const std::string_view mode = r.check.String("mode", "linear");
  const int taps = mode == "cubic" ? 4 : mode == "linear" ? 2 : 1;
  return ReachesBytes(y[0], y.ElementCount() / y[0] / y[1], y.rank() - 2, taps);
}

// The sums at the end of a program.
Bytes Program(const Reader& r) {
  Shape domain;
  for (const OperandSpec& input : r.launch.inputs) {
    const Result<Shape> shape = BroadcastShapes(domain, input.shape);
    r.check.Require(shape.ok(), "the inputs do not broadcast");
    if (!shape.ok()) return 0;
    domain = *shape;
  }
  const Result<PointwiseAttributes> program = ReadPointwiseAttributes(
      r.launch.attributes, static_cast<int>(r.launch.inputs.size()), domain);
  r.check.Require(program.ok(), "no program can be read");
  if (!program.ok()) return 0;
  const auto sums = std::ranges::count_if(program->results, &PointwiseResult::is_sum);
  return sums == 0 ? 0 : CutPointwiseSums(domain, program->axes).SumBytes(sums);
}

struct Entry {
  std::string_view op;
  size_t inputs;  // The first of them must be there.
  BytesOf bytes;
};

// Sorted. Operators that are not here have none.
constexpr auto kEntries = std::to_array<Entry>({
    {"AllFinite", 1, Total},
    {"ArgMax", 1, ArgExtreme},
    {"ArgMin", 1, ArgExtreme},
    {"BatchNormGradStats", 2, ChannelSums},
    {"BatchNormStats", 1, ChannelSums},
    {"Conv", 2, Conv},
    {"ConvInputGrad", 2, ConvInputGrad},
    {"ConvTranspose", 2, ConvInputGrad},
    {"ConvWeightGrad", 2, ConvWeightGrad},
    {"CumSum", 1, CumSum},
    {"GatherGrad", 2, Spread},
    {"Gemm", 2, Product},
    {"GlobalAveragePool", 1, GlobalAveragePool},
    {"GlobalMaxPool", 1, GlobalMaxPool},
    {"GridSampleGrad", 2, GridSampleGrad},
    {"GroupNormGrad", 2, GroupNorm},
    {"GroupNormalization", 3, GroupNorm},
    {"LayerNormGrad", 2, RowNormGrad},
    {"MatMul", 2, Product},
    {"MeanSquaredError", 2, Total},
    {"NegativeLogLikelihoodGrad", 2, ClassLossGrad},
    {"NegativeLogLikelihoodLoss", 2, LogLikelihoodLoss},
    {"Pointwise", 1, Program},
    {"RMSNormGrad", 2, RowNormGrad},
    {"ReduceMax", 1, Reduction},
    {"ReduceMean", 1, Reduction},
    {"ReduceMin", 1, Reduction},
    {"ReduceProd", 1, Reduction},
    {"ReduceSum", 1, Reduction},
    {"ResampleGrad", 3, Spread},
    {"ScatterElements", 3, Scatter},
    {"SigmoidCrossEntropyLoss", 2, Total},
    {"SoftmaxCrossEntropyGrad", 3, ClassLossGrad},
    {"SoftmaxCrossEntropyLoss", 2, SoftmaxLoss},
    {"SquaredNorm", 1, Total},
    {"TopK", 1, TopK},
});
static_assert(std::ranges::is_sorted(kEntries, {}, &Entry::op));

constexpr OperandLetters kLetters = {.backend = "cuda",
                                     .matches = [](char, DType) { return true; },
                                     .wanted = [](char) { return std::string_view("any type"); }};

}  // namespace

Result<Bytes> CudaWorkspaceOf(const LaunchSpec& launch, const WorkspaceOptions& options) {
  const auto* entry = std::ranges::lower_bound(kEntries, launch.op, {}, &Entry::op);
  if (entry == kEntries.end() || entry->op != launch.op) return Bytes{0};
  wsi::LaunchCheck check(launch, kLetters);
  for (size_t i = 0; i < entry->inputs; ++i)
    check.Require(check.HasInput(i), "an input is missing");
  check.Require(check.HasOutput(0), "output 0 is missing");
  WSI_RETURN_IF_ERROR(check.status());
  const Bytes bytes = entry->bytes({check, launch, options});
  WSI_RETURN_IF_ERROR(check.status());
  return bytes;
}

}  // namespace wsi::cuda
