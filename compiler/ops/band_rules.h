// The functions behind OpDef::band, by what operators do to rows. Their `axis` exists and
// their rows lie within it: BandOf has checked.
#pragma once

#include "compiler/ops/rows.h"

namespace wsi {

// A band with every operand as it is, the operator's attributes, and rows along `axis` of
// every output.
Band WholeOperands(const OpView& op, int axis);
// Input i, where present, is needed from its rows `rows` along `axis`.
void TakeRows(const OpView& op, Band& band, int i, int axis, RowRange rows);
// What OpDef::band is.
using BandFunction = Result<Band> (*)(const OpView&, int axis, RowRange);

// Attribute `band`: `rows` of the rows along `axis` of `whole`.
void SetBand(const OpView& op, Band& band, int axis, RowRange rows, const Shape& whole);
// "Softmax 'head' has no bands along axis 1: it works along that axis".
Status NeedsEveryRow(const OpView& op, int axis);
// Entry `index` of the integers `name` becomes `value`.
void SetEntry(Attributes& attributes, std::string_view name, int index, int64_t value);

// Row j from row j of operands that broadcast.
Result<Band> PointwiseBand(const OpView& op, int axis, RowRange rows);
// The same of a program of such steps, unless it sums.
Result<Band> PointwiseProgramBand(const OpView& op, int axis, RowRange rows);
// The same, knowing where in the whole it is.
Result<Band> NumberedPointwiseBand(const OpView& op, int axis, RowRange rows);
// Row j from row j of the operands of input 0's shape; vectors are of the channels.
Result<Band> ChannelwiseBand(const OpView& op, int axis, RowRange rows);
Result<Band> NumberedChannelwiseBand(const OpView& op, int axis, RowRange rows);
// Sums over all but the channels: rows of input 0 and of what has its shape.
Result<Band> ChannelSumsBand(const OpView& op, int axis, RowRange rows);
Result<Band> FillBand(const OpView& op, int axis, RowRange rows);

// Conv, MaxPool, AveragePool: windows over input 0.
Result<Band> WindowBand(const OpView& op, int axis, RowRange rows);
// Their gradients and ConvTranspose: input 0 spread through windows over the result.
Result<Band> SpreadBand(const OpView& op, int axis, RowRange rows);
Result<Band> ConvWeightGradBand(const OpView& op, int axis, RowRange rows);
// Global pools, by rows of the image.
Result<Band> GlobalAverageBand(const OpView& op, int axis, RowRange rows);
Result<Band> GlobalMaxBand(const OpView& op, int axis, RowRange rows);
Result<Band> GlobalPoolGradBand(const OpView& op, int axis, RowRange rows);

Result<Band> ConcatBand(const OpView& op, int axis, RowRange rows);
Result<Band> ExpandBand(const OpView& op, int axis, RowRange rows);
Result<Band> PadBand(const OpView& op, int axis, RowRange rows);
Result<Band> ReshapeBand(const OpView& op, int axis, RowRange rows);
Result<Band> SliceBand(const OpView& op, int axis, RowRange rows);
Result<Band> SliceGradBand(const OpView& op, int axis, RowRange rows);
Result<Band> TransposeBand(const OpView& op, int axis, RowRange rows);

// Along attribute `axis`, which is not the row axis: row j from row j of all inputs.
Result<Band> AcrossAxisBand(const OpView& op, int axis, RowRange rows);
// The same where the result lacks the axis unless keepdims.
Result<Band> ArgExtremeBand(const OpView& op, int axis, RowRange rows);
Result<Band> GatherBand(const OpView& op, int axis, RowRange rows);
Result<Band> GatherGradBand(const OpView& op, int axis, RowRange rows);
Result<Band> ScatterElementsBand(const OpView& op, int axis, RowRange rows);
Result<Band> ResampleBand(const OpView& op, int axis, RowRange rows);
Result<Band> ResampleGradBand(const OpView& op, int axis, RowRange rows);
// Rows of the result of a reduction over other axes.
Result<Band> ReductionBand(const OpView& op, int axis, RowRange rows);
// Rows of the input of a sum.
Result<Band> ReduceSumBand(const OpView& op, int axis, RowRange rows);
// Norms over the axes from attribute `axis` on; the gradients of scale and bias add up.
Result<Band> RowNormBand(const OpView& op, int axis, RowRange rows);
Result<Band> MatMulBand(const OpView& op, int axis, RowRange rows);

}  // namespace wsi
