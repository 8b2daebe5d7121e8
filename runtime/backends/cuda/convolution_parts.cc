#include "runtime/backends/cuda/convolution_parts.h"

#include <algorithm>

namespace wsi::cuda {
ConvolutionProblem ProblemOf(const Convolution& c, const Part& part, ConvolutionKind kind,
                             DType result, bool bias, Bytes workspace) {
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
                       .most_workspace = workspace,
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
