// Sequences exist only while a model is imported: each stands for the values in it.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

using Sizes = std::vector<int64_t>;

// `position` from the front, in [0, size) or, to insert, [0, size].
Result<size_t> Position(NodeImport& n, int i, size_t size, bool inserts) {
  const auto count = static_cast<int64_t>(size);
  WSI_ASSIGN_OR_RETURN(const double given, n.StaticFloat(i, "position"));
  const auto position = static_cast<int64_t>(given);
  const int64_t end = inserts ? count + 1 : count;
  if (position < -count || position >= end) {
    return InvalidInput(fmt::format("position is {}, the sequence has {} values", position, count));
  }
  return static_cast<size_t>(position < 0 ? position + count : position);
}

// The sizes of the parts along an axis of `size`: one by one, all alike with a smaller
// last one, or as listed.
Result<Sizes> PartSizes(NodeImport& n, int64_t size) {
  if (!n.HasInput(1)) return Sizes(static_cast<size_t>(size), 1);
  WSI_ASSIGN_OR_RETURN(Sizes sizes, n.StaticInts(1, "split"));
  if (n.InputShape(1).rank() == 1) return sizes;
  const int64_t each = sizes[0];
  if (each < 1) return InvalidInput(fmt::format("split is {}; allowed is 1 and more", each));
  sizes.clear();
  for (int64_t begin = 0; begin < size; begin += each) {
    sizes.push_back(std::min(each, size - begin));
  }
  return sizes;
}

}  // namespace

Status ImportSequenceConstruct(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(n.input_count()));
  n.SetSequence(n.inputs());
  return {};
}

Status ImportSequenceEmpty(NodeImport& n) {
  n.Ignore("dtype");
  n.SetSequence({});
  return {};
}

Status ImportSequenceAt(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> values, n.InputSequence(0));
  if (!n.HasInput(1)) return InvalidInput("lacks input 1");
  WSI_ASSIGN_OR_RETURN(const size_t position, Position(n, 1, values.size(), false));
  n.SetOutput(0, values[position]);
  return {};
}

Status ImportSequenceErase(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(std::vector<ValueId> values, n.InputSequence(0));
  size_t position = values.size() - 1;
  if (values.empty()) return InvalidInput("its sequence is empty");
  if (n.HasInput(1)) {
    WSI_ASSIGN_OR_RETURN(position, Position(n, 1, values.size(), false));
  }
  values.erase(values.begin() + static_cast<int64_t>(position));
  n.SetSequence(std::move(values));
  return {};
}

Status ImportSequenceInsert(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(std::vector<ValueId> values, n.InputSequence(0));
  if (!n.HasInput(1)) return InvalidInput("lacks input 1");
  size_t position = values.size();
  if (n.HasInput(2)) {
    WSI_ASSIGN_OR_RETURN(position, Position(n, 2, values.size(), true));
  }
  values.insert(values.begin() + static_cast<int64_t>(position), n.Input(1));
  n.SetSequence(std::move(values));
  return {};
}

Status ImportSequenceLength(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> values, n.InputSequence(0));
  const int64_t count[] = {static_cast<int64_t>(values.size())};
  return n.GiveConstant(Tensor::Of<int64_t>(Shape(), count));
}

Status ImportSplitToSequence(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape x = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.Int("axis", 0), x.rank()));
  const bool drops = n.Int("keepdims", 1) == 0 && !n.HasInput(1);
  WSI_ASSIGN_OR_RETURN(const Sizes sizes, PartSizes(n, x[axis]));
  std::vector<ValueId> parts;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || size > x[axis] - begin) {
      return InvalidInput(fmt::format("split does not add up to axis size {}", x[axis]));
    }
    WSI_ASSIGN_OR_RETURN(ValueId part, n.Emit("Slice", {n.Input(0)},
                                              {{"starts", Sizes{begin}},
                                               {"ends", Sizes{begin + size}},
                                               {"axes", Sizes{axis}},
                                               {"steps", Sizes{1}}}));
    if (drops) {
      Sizes shape(x.begin(), x.end());
      shape.erase(shape.begin() + axis);
      WSI_ASSIGN_OR_RETURN(part, n.Emit("Reshape", {part}, {{"shape", std::move(shape)}}));
    }
    parts.push_back(part);
    begin += size;
  }
  if (begin != x[axis]) {
    return InvalidInput(fmt::format("split does not add up to axis size {}", x[axis]));
  }
  n.SetSequence(std::move(parts));
  return {};
}

Status ImportConcatFromSequence(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(std::vector<ValueId> values, n.InputSequence(0));
  if (values.empty()) return InvalidInput("its sequence is empty");
  const bool stacks = n.Int("new_axis", 0) != 0;
  const int rank = n.ShapeOf(values[0]).rank() + (stacks ? 1 : 0);
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(n.RequiredInt("axis"), rank));
  for (ValueId& value : values) {
    if (!stacks) break;
    Sizes sizes(n.ShapeOf(value).begin(), n.ShapeOf(value).end());
    sizes.insert(sizes.begin() + std::min<int64_t>(axis, static_cast<int64_t>(sizes.size())), 1);
    WSI_ASSIGN_OR_RETURN(value, n.Emit("Reshape", {value}, {{"shape", std::move(sizes)}}));
  }
  return n.Give("Concat", std::move(values), {{"axis", int64_t{axis}}});
}

}  // namespace wsi
