#include "runtime/backends/cpu/convolution_slabs.h"

#include <algorithm>

namespace wsi::cpu {
namespace {

// Tensor-core and fp32 accumulations alike lose digits over longer sums, and slabs
// keep oneDNN's 32-bit offsets far from overflow.
constexpr int64_t kMaxPositions = int64_t{1} << 19;
constexpr int64_t kMaxElements = int64_t{1} << 28;
constexpr int64_t kMegabyte = int64_t{1} << 18;  // In fp32 elements.

int64_t Extent(const WindowAxis& axis) { return (axis.kernel - 1) * axis.dilation + 1; }

// Elements of the blocked copies of a slab, x and y together.
constexpr int64_t kBlockedElements = int64_t{1} << 21;
// Elements of x or of y of a slab that is converted to fp32, but for slabs of one row.
constexpr int64_t kConvertedElements = int64_t{1} << 20;

// Into how many slabs the rows of one image are cut, of `rows` in all.
int64_t SlabsPerImage(const Convolution& c, ConvolutionKind kind, int64_t rows) {
  const int64_t positions = c.rows().output * c.output_row_positions();
  int64_t slabs = 8;
  if (kind == ConvolutionKind::kWeightGrad) {
    // Each slab writes and adds a partial result of the weights' size.
    const int64_t weights = c.weight_elements();
    slabs = weights < kMegabyte ? 8 : (weights <= 4 * kMegabyte ? 4 : 2);
    if (WantsBlocks(c, kind)) {
      const int64_t copied =
          c.rows().output * c.output_row_elements() + c.rows().input * c.input_row_elements();
      slabs = std::max(slabs, CeilDiv(copied, kBlockedElements));
    }
    if (positions >= 4 * 65536 && weights < kMegabyte) slabs = 16;
  } else if (positions >= 65536) {
    slabs = 16;
  }
  slabs = std::max<int64_t>(1, CeilDiv(slabs, c.window.batch));
  slabs = std::min(slabs, std::max<int64_t>(rows / 4, 2));
  const int64_t elements = c.rows().input * c.input_row_elements();
  const int64_t output_elements = c.rows().output * c.output_row_elements();
  const int64_t most = c.IsConverted() ? kConvertedElements : kMaxElements;
  slabs = std::max({slabs, CeilDiv(positions, kMaxPositions), CeilDiv(elements, most),
                    CeilDiv(output_elements, most)});
  return std::clamp<int64_t>(slabs, 1, std::max<int64_t>(rows, 1));
}

// The slab of output rows [a, b) with the input rows that they read.
Slab OutputSlab(const WindowAxis& axis, int64_t a, int64_t b) {
  Slab slab{.output_begin = a, .output_rows = b - a};
  const int64_t start = a * axis.stride - axis.pad_begin;
  const int64_t end = (b - 1) * axis.stride - axis.pad_begin + Extent(axis);
  slab.input_begin = std::max<int64_t>(0, start);
  int64_t input_end = std::min(axis.input, end);
  // Whole strides of input keep strided 1x1 kernels on their fast path.
  if (axis.kernel == 1 && axis.pad_begin == 0) {
    input_end = std::min(axis.input, std::max(input_end, b * axis.stride));
  }
  slab.input_rows = input_end - slab.input_begin;
  slab.pad_begin = slab.input_begin - start;
  slab.pad_end = std::max<int64_t>(0, end - input_end);
  return slab;
}

// The slab of input-gradient rows [a, b) with the output-gradient rows that reach them.
Slab InputSlab(const WindowAxis& axis, int64_t a, int64_t b) {
  Slab slab{.input_begin = a, .input_rows = b - a};
  const int64_t reach = a + axis.pad_begin - (Extent(axis) - 1);
  slab.output_begin = reach <= 0 ? 0 : CeilDiv(reach, axis.stride);
  const int64_t output_end = std::min(axis.output, (b - 1 + axis.pad_begin) / axis.stride + 1);
  slab.output_rows = std::max<int64_t>(0, output_end - slab.output_begin);
  slab.pad_begin = axis.pad_begin + a - slab.output_begin * axis.stride;
  slab.pad_end = std::max<int64_t>(
      0, (slab.output_rows - 1) * axis.stride + Extent(axis) - slab.pad_begin - slab.input_rows);
  return slab;
}

Slab WholeImage(const WindowAxis& axis) {
  return {.input_rows = axis.input,
          .output_rows = axis.output,
          .pad_begin = axis.pad_begin,
          .pad_end = axis.pad_end};
}

}  // namespace

int64_t Convolution::input_row_elements() const {
  int64_t n = window.channels;
  for (int i = 1; i < spatial; ++i) n *= axis(i).input;
  return n;
}
int64_t Convolution::output_row_positions() const {
  int64_t n = 1;
  for (int i = 1; i < spatial; ++i) n *= axis(i).output;
  return n;
}
int64_t Convolution::output_row_elements() const {
  return output_row_positions() * output_channels;
}
int64_t Convolution::weight_elements() const {
  return output_channels * window.kernel_volume() * (window.channels / groups);
}

bool Convolution::IsPointwise() const {
  bool result = groups == 1;
  for (const WindowAxis& a : window.axes) {
    result = result && a.kernel == 1 && a.stride == 1 && a.pad_begin == 0 && a.pad_end == 0;
  }
  return result;
}

bool WantsBlocks(const Convolution& c, ConvolutionKind kind) {
  constexpr int64_t kBlock = 16;
  if (c.computed != DType::kF32) return false;
  if (kind != ConvolutionKind::kWeightGrad || c.spatial != 2 || c.groups != 1) return false;
  if (c.window.channels % kBlock != 0 || c.output_channels % kBlock != 0) return false;
  const int64_t least = Extent(c.rows()) * c.input_row_elements() + c.output_row_elements();
  return c.rows().stride > 1 && c.rows().kernel > 1 && least <= kBlockedElements / 2;
}

std::vector<Slab> CutConvolution(const Convolution& c, ConvolutionKind kind) {
  const WindowAxis& axis = c.rows();
  const bool by_input = kind == ConvolutionKind::kInputGrad;
  // Input rows are cut at multiples of the stride.
  const int64_t unit = by_input ? axis.stride : 1;
  const int64_t rows = CeilDiv(by_input ? axis.input : axis.output, unit);
  int64_t count = SlabsPerImage(c, kind, rows);
  // Rows that read nothing but padding have no slab of their own.
  if (axis.pad_begin >= Extent(axis) || axis.pad_end >= Extent(axis)) count = 1;
  // Strides that skip rows keep a padding that is not a multiple of them in one piece.
  if (Extent(axis) < axis.stride && axis.pad_begin % axis.stride != 0) count = 1;
  const int64_t most_rows = kMaxPositions / c.output_row_positions();
  const int64_t step =
      count == 1 ? rows : std::min(CeilDiv(rows, count), std::max<int64_t>(1, most_rows));

  std::vector<Slab> slabs;
  if (count == 1 && c.window.batch > 1) {
    // Small images: several of them a slab.
    const int64_t image_elements =
        std::max(axis.input * c.input_row_elements(), axis.output * c.output_row_elements());
    const int64_t most = c.IsConverted() ? kConvertedElements : kMaxElements;
    const int64_t images = std::clamp<int64_t>(most / std::max<int64_t>(image_elements, 1), 1,
                                               CeilDiv(c.window.batch, 16));
    for (int64_t n = 0; n < c.window.batch; n += images) {
      Slab slab = WholeImage(axis);
      slab.first_image = n;
      slab.images = std::min(images, c.window.batch - n);
      slabs.push_back(slab);
    }
    return slabs;
  }
  for (int64_t n = 0; n < c.window.batch; ++n) {
    for (int64_t row = 0; row < rows; row += step) {
      const int64_t end = std::min(row + step, rows);
      Slab slab;
      if (count == 1) {
        slab = WholeImage(axis);
      } else if (by_input) {
        slab = InputSlab(axis, row * unit, std::min(end * unit, axis.input));
      } else {
        slab = OutputSlab(axis, row, end);
      }
      slab.first_image = n;
      slabs.push_back(slab);
    }
  }
  return slabs;
}

}  // namespace wsi::cpu
