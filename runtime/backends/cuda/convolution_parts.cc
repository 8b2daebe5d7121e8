#include "runtime/backends/cuda/convolution_parts.h"

#include <algorithm>

namespace wsi::cuda {
namespace {

constexpr Bytes kMostSlabBytes = Bytes{1} << 31;
constexpr int64_t kMostGradPositions = int64_t{1} << 19;
constexpr Bytes kMostCopyBytes = Bytes{256} << 20;  // Of x and dy in fp32.

}  // namespace

std::vector<Part> Cut(const Convolution& c, ConvolutionKind kind) {
  const RowAxis axis = c.rows();
  const Bytes element = DTypeBytes(c.dtype);
  const Window& w = c.window;
  const int64_t row_positions = c.OutputRow() / w.out_channels;
  const Bytes image_bytes =
      element * std::max(axis.input * c.InputRow(), axis.output * c.OutputRow());
  const bool grad = kind == ConvolutionKind::kWeightGrad;
  const int64_t positions = std::max<int64_t>(axis.output * row_positions, 1);
  const Bytes copy_bytes =
      c.widened ? Bytes{sizeof(float)} * (axis.input * c.InputRow() + axis.output * c.OutputRow())
                : 0;
  std::vector<Part> parts;
  int64_t slabs = CeilDiv(std::max<Bytes>(image_bytes, 1), kMostSlabBytes);
  if (grad) slabs = std::max(slabs, CeilDiv(positions, kMostGradPositions));
  slabs = std::max(slabs, CeilDiv(copy_bytes, kMostCopyBytes));
  if (slabs <= 1 || !CanCutRows(axis)) {
    int64_t images = std::max<int64_t>(1, kMostSlabBytes / std::max<Bytes>(image_bytes, 1));
    if (grad) images = std::min(images, std::max<int64_t>(1, kMostGradPositions / positions));
    if (copy_bytes > 0) images = std::min(images, std::max<Bytes>(1, kMostCopyBytes / copy_bytes));
    const RowSlab whole = {.input_rows = axis.input,
                           .output_rows = axis.output,
                           .pad_begin = axis.pad_begin,
                           .pad_end = axis.pad_end};
    for (int64_t n = 0; n < w.batch; n += images) {
      parts.push_back({whole, n, std::min(images, w.batch - n)});
    }
    return parts;
  }
  const bool by_input = kind == ConvolutionKind::kInputGrad;
  const int64_t unit = by_input ? axis.stride : 1;
  const int64_t rows = CeilDiv(by_input ? axis.input : axis.output, unit);
  const int64_t step = CeilDiv(rows, std::min(slabs, rows));
  for (int64_t n = 0; n < w.batch; ++n) {
    for (int64_t row = 0; row < rows; row += step) {
      const int64_t end = std::min(row + step, rows);
      parts.push_back({by_input ? InputRows(axis, row * unit, std::min(end * unit, axis.input))
                                : OutputRows(axis, row, end),
                       n});
    }
  }
  return parts;
}

ConvolutionProblem ProblemOf(const Convolution& c, const Part& part, ConvolutionKind kind,
                             DType result, bool bias) {
  const Window& w = c.window;
  // Slabs begin where rows do.
  const Bytes element = DTypeBytes(c.dtype);
  const RowAxis axis = c.rows();
  const Bytes x_at = (part.image * axis.input + part.rows.input_begin) * c.InputRow() * element;
  const Bytes y_at = (part.image * axis.output + part.rows.output_begin) * c.OutputRow() * element;
  Bytes alignment = 16;
  while (x_at % alignment != 0 || y_at % alignment != 0) alignment /= 2;
  ConvolutionProblem p{.kind = kind,
                       .dtype = c.dtype,
                       .result = result,
                       .bias = bias,
                       .images = part.images,
                       .in_channels = w.in_channels,
                       .out_channels = w.out_channels,
                       .groups = c.groups,
                       .alignment = alignment,
                       .input = {},
                       .output = {},
                       .kernel = {},
                       .strides = {},
                       .dilations = {},
                       .pad_begin = {},
                       .pad_end = {}};
  for (size_t a = std::min<size_t>(c.first_axis, 1); a < 3; ++a) {
    const bool rows = a == c.first_axis;
    p.input.push_back(rows ? part.rows.input_rows : w.in[a]);
    p.output.push_back(rows ? part.rows.output_rows : w.out[a]);
    p.kernel.push_back(w.kernel[a]);
    p.strides.push_back(w.stride[a]);
    p.dilations.push_back(w.dilation[a]);
    p.pad_begin.push_back(rows ? part.rows.pad_begin : w.pad_begin[a]);
    p.pad_end.push_back(rows ? part.rows.pad_end : w.pad_end[a]);
  }
  return p;
}

}  // namespace wsi::cuda
