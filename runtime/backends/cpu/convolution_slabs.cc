#include "runtime/backends/cpu/convolution_slabs.h"

#include <algorithm>

namespace wsi::cpu {
namespace {

// Tensor-core and fp32 accumulations alike lose digits over longer sums, and slabs
// keep oneDNN's 32-bit offsets far from overflow.
constexpr int64_t kMaxPositions = int64_t{1} << 19;
constexpr int64_t kMaxElements = int64_t{1} << 28;
constexpr int64_t kMegabyte = int64_t{1} << 18;  // In fp32 elements.

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

Slab WholeImage(const WindowAxis& axis) {
  Slab slab;
  slab.input_rows = axis.input;
  slab.output_rows = axis.output;
  slab.pad_begin = axis.pad_begin;
  slab.pad_end = axis.pad_end;
  return slab;
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
  const int64_t least = c.rows().Extent() * c.input_row_elements() + c.output_row_elements();
  return c.rows().stride > 1 && c.rows().kernel > 1 && least <= kBlockedElements / 2;
}

std::vector<Slab> CutConvolution(const Convolution& c, ConvolutionKind kind) {
  const WindowAxis& axis = c.rows();
  const bool by_input = kind == ConvolutionKind::kInputGrad;
  // Input rows are cut at multiples of the stride.
  const int64_t unit = by_input ? axis.stride : 1;
  const int64_t rows = CeilDiv(by_input ? axis.input : axis.output, unit);
  int64_t count = SlabsPerImage(c, kind, rows);
  if (!CanCutRows(axis)) count = 1;
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
        slab = {InputRows(axis, row * unit, std::min(end * unit, axis.input))};
      } else {
        slab = {OutputRows(axis, row, end)};
      }
      slab.first_image = n;
      slabs.push_back(slab);
    }
  }
  return slabs;
}

}  // namespace wsi::cpu
