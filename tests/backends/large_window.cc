#include "tests/backends/large_window.h"

#include <algorithm>
#include <set>

namespace wsi {
namespace {

// One node on operands of any size, without contents but for those that are given.
struct Scene {
  TensorStore store;
  Graph graph{&store};
  NodeId node;
};

Status BuildScene(const LargeCase& large, const LargeWindow& window, Scene& scene) {
  Node node;
  node.name = "large";
  node.op = large.op;
  node.attributes = window.attributes;
  for (size_t i = 0; i < large.inputs.size(); ++i) {
    node.inputs.emplace_back();
    if (!large.inputs[i].present) continue;
    const std::string name = "x" + std::to_string(i);
    if (window.given[i]) {
      WSI_ASSIGN_OR_RETURN(Tensor contents, window.given[i]->Clone());
      node.inputs.back() = scene.graph.AddConstant(name, std::move(contents));
      continue;
    }
    Value value;
    value.name = name;
    value.dtype = large.inputs[i].dtype;
    value.shape = ShapeOf(window.inputs[i]);
    value.role = Role::kInput;
    node.inputs.back() = scene.graph.AddValue(std::move(value));
  }
  std::vector<std::string> names;
  for (const bool wanted : large.outputs) names.emplace_back(wanted ? "y" : "");
  scene.node = scene.graph.AddNode(std::move(node), names);
  return InferTypes(scene.graph, scene.node);
}

Result<LargeWindow> WholeWindow(const LargeCase& large) {
  LargeWindow whole;
  whole.attributes = large.attributes;
  for (size_t i = 0; i < large.inputs.size(); ++i) {
    whole.inputs.push_back(WholeBox(large.inputs[i].shape));
    whole.given.emplace_back();
    const auto given = large.given.find(i);
    if (given == large.given.end()) continue;
    WSI_ASSIGN_OR_RETURN(whole.given.back(), given->second.Clone());
  }
  return whole;
}

void Narrow(RowRange& range, RowRange within) {
  range = {range.begin + within.begin, range.begin + within.end};
}

// As BandOf, of operands that have as many rows along axis 0 as the result.
Band SliceOf(const OpView& view, RowRange rows) {
  Band band;
  band.attributes = view.attributes();
  const int64_t count = view.output_shape(0)[0];
  for (int i = 0; i < view.input_count(); ++i) {
    band.inputs.emplace_back();
    if (!view.HasInput(i) || view.input_shape(i).rank() == 0) continue;
    if (view.input_shape(i)[0] == count)
      band.inputs.back() = {.axis = 0, .rows = rows, .constant = {}};
  }
  for (int i = 0; i < view.output_count(); ++i) {
    const bool has =
        view.HasOutput(i) && view.output_shape(i).rank() > 0 && view.output_shape(i)[0] == count;
    band.output_axes.push_back(has ? 0 : -1);
  }
  if (band.attributes.Has("input_shape")) {
    std::vector<int64_t> sizes = band.attributes.Ints("input_shape");
    sizes[0] = rows.count();
    band.attributes.Set("input_shape", std::move(sizes));
  }
  return band;
}

// Rows of the window, which becomes these alone.
Status CutWindow(const LargeCase& large, int axis, RowRange rows, LargeWindow& window) {
  Scene scene;
  WSI_RETURN_IF_ERROR(BuildScene(large, window, scene));
  const OpView view(scene.graph, scene.node);
  Band band;
  if (large.is_sliced) {
    band = SliceOf(view, rows);
  } else {
    WSI_ASSIGN_OR_RETURN(band, BandOf(view, axis, rows));
  }
  window.attributes = band.attributes;
  for (size_t i = 0; i < band.inputs.size(); ++i) {
    BandOperand& operand = band.inputs[i];
    if (operand.constant) window.given[i] = std::move(operand.constant);
    if (operand.axis >= 0)
      Narrow(window.inputs[i][static_cast<size_t>(operand.axis)], operand.rows);
  }
  for (size_t i = 0; i < window.outputs.size(); ++i) {
    if (!window.outputs[i]) continue;
    if (band.output_axes[i] < 0) {
      window.outputs[i].reset();
    } else {
      Narrow((*window.outputs[i])[static_cast<size_t>(band.output_axes[i])], rows);
    }
  }
  return {};
}

std::vector<int64_t> Unravel(int64_t index, const Shape& shape) {
  std::vector<int64_t> at(static_cast<size_t>(shape.rank()));
  for (int a = shape.rank() - 1; a >= 0; --a) {
    at[static_cast<size_t>(a)] = index % shape[a];
    index /= shape[a];
  }
  return at;
}

}  // namespace

Box WholeBox(const Shape& shape) {
  Box box;
  for (const int64_t size : shape) box.push_back({0, size});
  return box;
}

Shape ShapeOf(const Box& box) {
  std::vector<int64_t> sizes;
  for (const RowRange& range : box) sizes.push_back(range.count());
  return Shape::Make(sizes).value();
}

Result<OutputTypeList> OutputTypes(const LargeCase& large) {
  WSI_ASSIGN_OR_RETURN(const LargeWindow whole, WholeWindow(large));
  Scene scene;
  WSI_RETURN_IF_ERROR(BuildScene(large, whole, scene));
  const OpView view(scene.graph, scene.node);
  OutputTypeList types;
  for (int i = 0; i < view.output_count(); ++i) {
    types.emplace_back();
    if (view.HasOutput(i)) types.back() = TensorType{view.output(i).dtype, view.output_shape(i)};
  }
  return types;
}

Result<LargeWindow> WindowAround(const LargeCase& large, const std::vector<int64_t>& at) {
  WSI_ASSIGN_OR_RETURN(const auto types, OutputTypes(large));
  WSI_ASSIGN_OR_RETURN(LargeWindow window, WholeWindow(large));
  for (const auto& type : types) {
    window.outputs.emplace_back();
    if (type) window.outputs.back() = WholeBox(type->shape);
  }
  for (const WindowAxis& w : large.window) {
    const int64_t size = types[0]->shape[w.axis];
    const int64_t rows = std::min(w.rows, size);
    const int64_t middle = at[static_cast<size_t>(w.axis)];
    const int64_t begin = std::clamp<int64_t>(middle - rows / 2, 0, size - rows);
    WSI_RETURN_IF_ERROR(CutWindow(large, w.axis, {begin, begin + rows}, window));
  }
  return window;
}

std::vector<std::vector<int64_t>> PlacesOf(const LargeCase& large, int64_t mark) {
  const auto types = OutputTypes(large).value();
  const Shape& result = types[0]->shape;
  std::set<std::vector<int64_t>> places = {Unravel(0, result),
                                           Unravel(result.ElementCount() - 1, result)};
  const auto add = [&](const Shape& shape, DType dtype) {
    const int64_t count = shape.ElementCount();
    const Bytes bytes = DTypeBytes(dtype);
    for (const int64_t index : {mark / bytes, 2 * mark / bytes, mark, 2 * mark}) {
      if (index >= count) continue;
      std::vector<int64_t> at = Unravel(index, shape);
      if (shape.rank() == result.rank() && !large.attributes.Has("perm")) {
        for (int a = 0; a < result.rank(); ++a) {
          auto& along = at[static_cast<size_t>(a)];
          along = along * result[a] / shape[a];
        }
      } else {
        const double part = static_cast<double>(index) / static_cast<double>(count);
        at = Unravel(static_cast<int64_t>(part * static_cast<double>(result.ElementCount())),
                     result);
      }
      places.insert(at);
    }
  };
  for (const Operand& input : large.inputs) {
    if (input.present) add(input.shape, input.dtype);
  }
  for (const auto& type : types) {
    if (type) add(type->shape, type->dtype);
  }
  return {places.begin(), places.end()};
}

}  // namespace wsi
