#include "tests/backends/row_bands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace wsi {
namespace {

// A tensor as [outer, rows, bytes of one row].
struct Blocks {
  size_t outer = 1;
  size_t rows = 0;
  size_t bytes = 0;
};

Blocks BlocksOf(const Tensor& tensor, int axis) {
  Blocks blocks;
  blocks.bytes = static_cast<size_t>(DTypeBytes(tensor.dtype()));
  const Shape& shape = tensor.shape();
  for (int a = 0; a < shape.rank(); ++a) {
    const auto size = static_cast<size_t>(shape[a]);
    if (a < axis) blocks.outer *= size;
    if (a == axis) blocks.rows = size;
    if (a > axis) blocks.bytes *= size;
  }
  return blocks;
}

Shape WithRows(const Shape& shape, int axis, int64_t rows) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = rows;
  return Shape::Make(sizes).value();
}

void AddTo(const Tensor& part, Tensor& sum) {
  for (int64_t i = 0; i < sum.shape().ElementCount(); ++i) {
    sum.data<double>()[static_cast<size_t>(i)] += part.data<double>()[static_cast<size_t>(i)];
  }
}

// The operands of a band: slices, the band's own constants, or what `values` holds.
std::vector<Tensor> BandOperands(const OpView& view, Band& band, const NamedTensors& values) {
  std::vector<Tensor> operands;
  for (int i = 0; i < view.input_count(); ++i) {
    BandOperand& operand = band.inputs[static_cast<size_t>(i)];
    if (!view.HasInput(i)) {
      operands.emplace_back();
    } else if (operand.constant) {
      operands.push_back(std::move(*operand.constant));
    } else {
      const Tensor& whole = values.at(view.input(i).name);
      operands.push_back(operand.axis < 0 ? whole.Clone().value()
                                          : TakeRowsOf(whole, operand.axis, operand.rows));
    }
  }
  return operands;
}

Result<std::vector<Tensor>> RunBand(const OpView& view, Band& band, const NamedTensors& values,
                                    LaunchRunner& runner) {
  const std::vector<Tensor> operands = BandOperands(view, band, values);
  Launch launch{view.op(), view.name(), band.attributes, {}, {}, {}};
  for (int i = 0; i < view.input_count(); ++i) {
    launch.inputs.push_back(view.HasInput(i) ? &operands[static_cast<size_t>(i)] : nullptr);
  }
  std::vector<bool> asked;
  for (int i = 0; i < view.output_count(); ++i) asked.push_back(view.HasOutput(i));
  WSI_RETURN_IF_ERROR(InferLaunch(launch, asked));
  return runner.Run(launch);
}

// Rows [begin, begin + rows of the part) of output i, or a share of its sum.
Status Join(const OpView& view, int i, int axis, int64_t begin, RowRange rows, const Tensor& part,
            Tensor& whole) {
  const Shape& shape = view.output_shape(i);
  const Shape wanted = axis < 0 ? shape : WithRows(shape, axis, rows.count());
  if (part.shape() != wanted) {
    return InternalError(fmt::format("output {} of a band has shape {}, wants {}", i,
                                     part.shape().ToString(), wanted.ToString()));
  }
  if (axis >= 0) {
    PutRows(part, axis, begin, whole);
  } else {
    AddTo(part, whole);
  }
  return {};
}

}  // namespace

Tensor TakeRowsOf(const Tensor& tensor, int axis, RowRange rows) {
  Tensor part = Tensor::Make(tensor.dtype(), WithRows(tensor.shape(), axis, rows.count())).value();
  const Blocks blocks = BlocksOf(tensor, axis);
  const size_t width = static_cast<size_t>(rows.count()) * blocks.bytes;
  for (size_t o = 0; width > 0 && o < blocks.outer; ++o) {
    std::memcpy(
        part.bytes().data() + o * width,
        tensor.bytes().data() + (o * blocks.rows + static_cast<size_t>(rows.begin)) * blocks.bytes,
        width);
  }
  return part;
}

void PutRows(const Tensor& part, int axis, int64_t begin, Tensor& whole) {
  const Blocks blocks = BlocksOf(whole, axis);
  const size_t width = static_cast<size_t>(part.shape()[axis]) * blocks.bytes;
  for (size_t o = 0; width > 0 && o < blocks.outer; ++o) {
    std::memcpy(
        whole.bytes().data() + (o * blocks.rows + static_cast<size_t>(begin)) * blocks.bytes,
        part.bytes().data() + o * width, width);
  }
}

Result<std::vector<Tensor>> RunNode(const Graph& graph, NodeId node, const NamedTensors& values,
                                    LaunchRunner& runner) {
  const OpView view(graph, node);
  Band whole;
  whole.inputs.resize(static_cast<size_t>(view.input_count()));
  whole.attributes = view.attributes();
  return RunBand(view, whole, values, runner);
}

Result<std::vector<Tensor>> RunInBands(const Graph& graph, NodeId node, int axis,
                                       const std::vector<int64_t>& cuts, const NamedTensors& values,
                                       LaunchRunner& runner) {
  const OpView view(graph, node);
  std::vector<Tensor> outputs(static_cast<size_t>(view.output_count()));
  for (int i = 0; i < view.output_count(); ++i) {
    if (!view.HasOutput(i)) continue;
    WSI_ASSIGN_OR_RETURN(outputs[static_cast<size_t>(i)],
                         Tensor::Make(view.output(i).dtype, view.output_shape(i)));
    const auto bytes = outputs[static_cast<size_t>(i)].bytes();
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
  }
  int64_t begin = 0;
  for (const int64_t end : cuts) {
    const RowRange rows = {begin, end};
    WSI_ASSIGN_OR_RETURN(Band band, BandOf(view, axis, rows));
    WSI_ASSIGN_OR_RETURN(const std::vector<Tensor> parts, RunBand(view, band, values, runner));
    for (int i = 0; i < view.output_count(); ++i) {
      const auto o = static_cast<size_t>(i);
      if (!view.HasOutput(i)) continue;
      WSI_RETURN_IF_ERROR(Join(view, i, band.output_axes[o], begin, rows, parts[o], outputs[o]));
    }
    begin = end;
  }
  return outputs;
}

}  // namespace wsi
