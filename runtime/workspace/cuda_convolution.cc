#include "runtime/workspace/cuda_convolution.h"

#include <algorithm>

#include "runtime/workspace/cuda_depthwise.h"
#include "runtime/workspace/cuda_weight_grad.h"

namespace wsi::cuda {
namespace {

constexpr Bytes kMostSlabBytes = Bytes{1} << 31;
constexpr int64_t kMostGradPositions = int64_t{1} << 19;
constexpr Bytes kMostCopyBytes = Bytes{256} << 20;    // Of x and dy in fp32.
constexpr Bytes kMostFoldedBytes = Bytes{256} << 20;  // Of a slab's input.
constexpr int64_t kMostFoldedFrom = 4;                // Channels that are folded,
constexpr int64_t kMostFoldedTo = 1024;               // and that they become,
constexpr int64_t kPackChannels = 8;                  // a multiple of these.

// cuDNN's engines on tensor cores want little; those of fp32 may change the layout first.
constexpr Bytes kLeastLibrary = Bytes{4} << 20;
constexpr Bytes kMostLibraryHalf = Bytes{32} << 20;
constexpr Bytes kMostLibraryFloat = Bytes{256} << 20;

bool IsFolded(const Convolution& c, ConvolutionKind kind, bool hopper) {
  const Window& w = c.window;
  if (c.dtype == DType::kF32 || c.groups > 1 || c.first_axis != 1) return false;
  if (kind == ConvolutionKind::kInputGrad) return false;
  if (kind == ConvolutionKind::kWeightGrad && !hopper) return false;
  const int64_t block = w.stride[1] * w.stride[2];
  if (w.in_channels > kMostFoldedFrom || block == 1) return false;
  if (w.in_channels * block > kMostFoldedTo || w.batch * w.OutPositions() == 0) return false;
  if (w.dilation[1] > 1 || w.dilation[2] > 1) return false;
  const Window folded = FoldingOf(w).to;
  // Windows wholly in padding have no slabs.
  return folded.in[1] > 0 && folded.in[2] > 0 && folded.pad_begin[1] < folded.kernel[1] &&
         folded.pad_end[1] < folded.kernel[1] && folded.pad_begin[2] < folded.kernel[2] &&
         folded.pad_end[2] < folded.kernel[2];
}

// With the type that cuDNN is given.
Convolution GivenTo(const Convolution& c) {
  Convolution given = c;
  if (c.widened) given.dtype = DType::kF32;
  return given;
}

Bytes FoldedBytes(const Convolution& c, ConvolutionKind kind, const WorkspaceOptions& options) {
  const FoldedLayout layout = LayOutFolded(c);
  Bytes rest = 0;
  for (const Part& part : layout.parts) {
    rest = std::max(rest, kind == ConvolutionKind::kForward
                              ? LibraryBytes(layout.folded, part, options)
                              : CutWeightGrad(layout.WindowOf(part), 1).part_bytes);
  }
  return layout.rest + rest;
}

Bytes LibraryPathBytes(const Convolution& c, ConvolutionKind kind,
                       const WorkspaceOptions& options) {
  const LibraryLayout layout = LayOutLibrary(c, kind);
  Bytes library = 0;
  for (const Part& part : layout.parts) {
    if (part.rows.output_rows == 0) continue;
    library = std::max(library, LibraryBytes(GivenTo(c), part, options));
  }
  return layout.library + library;
}

Bytes DepthwiseBytes(const Convolution& c, ConvolutionKind kind) {
  return kind == ConvolutionKind::kWeightGrad ? DepthwiseGradBytes(c.window, c.dtype)
                                              : DepthwiseWeightBytes(c.window);
}

Bytes BytesOn(ConvolutionPath path, Convolution c, ConvolutionKind kind,
              const WorkspaceOptions& options) {
  switch (path) {
    case ConvolutionPath::kDepthwise: return DepthwiseBytes(c, kind);
    case ConvolutionPath::kFolded: return FoldedBytes(c, kind, options);
    case ConvolutionPath::kWeightGrad: return CutWeightGrad(c.window, c.groups).part_bytes;
    case ConvolutionPath::kLibrary: break;
  }
  c.widened = kind == ConvolutionKind::kWeightGrad && c.dtype != DType::kF32;
  return LibraryPathBytes(c, kind, options);
}

}  // namespace

RowAxis Convolution::rows() const {
  const size_t a = first_axis;
  return {.input = window.in[a],
          .output = window.out[a],
          .kernel = window.kernel[a],
          .stride = window.stride[a],
          .dilation = window.dilation[a],
          .pad_begin = window.pad_begin[a],
          .pad_end = window.pad_end[a]};
}

int64_t Convolution::InputRow() const {
  return window.InPositions() / std::max<int64_t>(window.in[first_axis], 1) * window.in_channels;
}

int64_t Convolution::OutputRow() const {
  return window.OutPositions() / std::max<int64_t>(window.out[first_axis], 1) * window.out_channels;
}

Convolution ReadConvolution(wsi::LaunchCheck& check, const Shape& x, const Shape& w,
                            const Shape& y) {
  Convolution c{.window = ReadWindow(check, x, y)};
  if (!check.status().ok()) return c;
  // Where there is one spatial axis, rows are columns: cuDNN wants two.
  c.first_axis = static_cast<size_t>(5 - x.rank());
  c.dtype = check.input_type(0);
  const Window& window = c.window;
  c.groups = check.Int("group", 1, std::max<int64_t>(window.in_channels, 1), 1);
  check.Require(window.in_channels % c.groups == 0 && window.out_channels % c.groups == 0,
                "group does not divide the channels");
  bool fits = w.rank() == x.rank() && w[0] == y[-1] && w[-1] == window.in_channels / c.groups;
  for (int a = 1; fits && a < x.rank() - 1; ++a) {
    fits = w[a] == window.kernel[static_cast<size_t>(a + 4 - x.rank())];
  }
  check.Require(fits, "the weight's shape is not [O, kernel_shape, I / group]");
  check.Require(c.dtype != DType::kF64, "computes in f32, f16 or bf16");
  return c;
}

ConvolutionPath PathOf(const Convolution& c, ConvolutionKind kind, bool hopper) {
  if (c.groups > 1 && c.groups == c.window.in_channels) return ConvolutionPath::kDepthwise;
  if (IsFolded(c, kind, hopper)) return ConvolutionPath::kFolded;
  const bool is_half = c.dtype != DType::kF32;
  if (kind == ConvolutionKind::kWeightGrad && is_half && hopper) {
    return ConvolutionPath::kWeightGrad;
  }
  return ConvolutionPath::kLibrary;
}

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

Bytes LibraryBytes(const Convolution& c, const Part& part, const WorkspaceOptions& options) {
  if (options.library_bytes > 0) return options.library_bytes;
  const int64_t elements =
      part.images * (part.rows.input_rows * c.InputRow() + part.rows.output_rows * c.OutputRow()) +
      c.WeightElements();
  const Bytes most = c.dtype == DType::kF32 ? kMostLibraryFloat : kMostLibraryHalf;
  return std::clamp(AlignUp(2 * elements * DTypeBytes(c.dtype), 256), kLeastLibrary, most);
}

LibraryLayout LayOutLibrary(const Convolution& c, ConvolutionKind kind) {
  LibraryLayout layout{.parts = Cut(c, kind)};
  Bytes x_bytes = 0;
  Bytes y_bytes = 0;
  for (const Part& part : layout.parts) {
    if (!c.widened || part.rows.output_rows == 0) continue;
    x_bytes = std::max(x_bytes, part.images * part.rows.input_rows * c.InputRow());
    y_bytes = std::max(y_bytes, part.images * part.rows.output_rows * c.OutputRow());
  }
  const bool partial = kind == ConvolutionKind::kWeightGrad && layout.parts.size() > 1;
  const auto room = [](int64_t elements) { return AlignUp(elements * Bytes{sizeof(float)}, 256); };
  layout.x = partial ? room(c.WeightElements()) : 0;
  layout.y = layout.x + room(x_bytes);
  layout.library = layout.y + room(y_bytes);
  return layout;
}

Folding FoldingOf(const Window& window) {
  Folding f{.from = window, .to = window, .offset = {0, 0, 0}};
  int64_t block = 1;
  for (size_t a = 1; a < 3; ++a) {
    const int64_t stride = window.stride[a];
    const int64_t pad = CeilDiv(window.pad_begin[a], stride);
    block *= stride;
    f.offset[a] = pad * stride - window.pad_begin[a];
    f.to.kernel[a] = CeilDiv(f.offset[a] + window.kernel[a], stride);
    f.to.stride[a] = 1;
    f.to.pad_begin[a] = pad;
    // Inputs behind the last window are left out.
    const int64_t reach = window.out[a] + f.to.kernel[a] - 1 - pad;
    f.to.in[a] = std::min(CeilDiv(window.in[a], stride), reach);
    f.to.pad_end[a] = reach - f.to.in[a];
  }
  f.to.in_channels = AlignUp(window.in_channels * block, kPackChannels);
  return f;
}

Window FoldedLayout::WindowOf(const Part& part) const {
  Window w = folding.to;
  w.batch = 1;
  w.in[1] = part.rows.input_rows;
  w.out[1] = part.rows.output_rows;
  w.pad_begin[1] = part.rows.pad_begin;
  w.pad_end[1] = part.rows.pad_end;
  return w;
}

FoldedLayout LayOutFolded(const Convolution& c) {
  FoldedLayout layout{.folding = FoldingOf(c.window), .folded = c, .parts = {}};
  layout.folded.window = layout.folding.to;
  const Convolution& folded = layout.folded;
  const RowAxis axis = folded.rows();
  const Bytes element = DTypeBytes(c.dtype);
  const Bytes row_bytes = std::max(folded.InputRow(), folded.OutputRow() / 8) * element;
  const int64_t rows = std::clamp<int64_t>(kMostFoldedBytes / row_bytes, 1, axis.output);
  int64_t input_rows = 0;
  for (int64_t n = 0; n < c.window.batch; ++n) {
    for (int64_t row = 0; row < axis.output; row += rows) {
      layout.parts.push_back({OutputRows(axis, row, std::min(row + rows, axis.output)), n});
      input_rows = std::max(input_rows, layout.parts.back().rows.input_rows);
    }
  }
  layout.x = AlignUp(folded.WeightElements() * Bytes{sizeof(float)}, 256);
  layout.rest = layout.x + AlignUp(input_rows * folded.InputRow() * element, 256);
  return layout;
}

Bytes ConvolutionBytes(const Convolution& c, ConvolutionKind kind,
                       const WorkspaceOptions& options) {
  if (c.window.out_channels == 0 || c.window.in_channels == 0) return 0;
  const ConvolutionPath path = PathOf(c, kind, options.hopper);
  Bytes bytes = BytesOn(path, c, kind, options);
  if (!options.hopper) {
    bytes = std::max(bytes, BytesOn(PathOf(c, kind, true), c, kind, options));
  }
  return bytes;
}

}  // namespace wsi::cuda
