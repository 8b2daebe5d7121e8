#include "passes/layout_forms.h"

#include <algorithm>

#include "passes/shared_tensors.h"

namespace wsi {

std::vector<int64_t> ToChannelsLast(int rank) {
  std::vector<int64_t> perm = {0};
  for (int64_t axis = 2; axis < rank; ++axis) perm.push_back(axis);
  perm.push_back(1);
  return perm;
}

std::vector<int64_t> ToChannelsFirst(int rank) {
  std::vector<int64_t> perm = {0, rank - 1};
  for (int64_t axis = 1; axis < rank - 1; ++axis) perm.push_back(axis);
  return perm;
}

bool MovesOnlyUnitAxes(const Shape& shape, std::span<const int64_t> perm) {
  int64_t previous = -1;
  for (const int64_t axis : perm) {
    if (shape[static_cast<int>(axis)] == 1) continue;
    if (axis < previous) return false;
    previous = axis;
  }
  return true;
}

Result<ValueId> LayoutForms::First(ValueId id) {
  return IsLast(id) ? Convert(id, false) : Result<ValueId>(id);
}

Result<ValueId> LayoutForms::Last(ValueId id) {
  return IsLast(id) ? Result<ValueId>(id) : Convert(id, true);
}

Result<ValueId> LayoutForms::Convert(ValueId id, bool to_last) {
  const auto at = other_.find(id);
  if (at != other_.end()) return at->second;
  const int rank = graph_.value(id).shape.rank();
  const std::string name = graph_.value(id).name;
  WSI_ASSIGN_OR_RETURN(const ValueId converted,
                       to_last ? Transpose(id, ToChannelsLast(rank), name + ".channels_last")
                               : Transpose(id, ToChannelsFirst(rank), name + ".channels_first"));
  if (to_last) MarkLast(converted);
  other_.emplace(id, converted);
  other_.emplace(converted, id);
  return converted;
}

Result<ValueId> LayoutForms::LastOfRank(ValueId id, int rank) {
  WSI_ASSIGN_OR_RETURN(const ValueId first, First(id));
  const auto at = broadcast_.find({first, rank});
  if (at != broadcast_.end()) return at->second;
  const Shape& shape = graph_.value(first).shape;
  std::vector<int64_t> sizes(static_cast<size_t>(rank - shape.rank()), 1);
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  WSI_ASSIGN_OR_RETURN(const Shape padded, Shape::Make(sizes));
  const std::vector<int64_t> perm = ToChannelsLast(rank);
  const std::string name = graph_.value(first).name + ".channels_last";
  ValueId result;
  if (MovesOnlyUnitAxes(padded, perm)) {
    WSI_ASSIGN_OR_RETURN(result, Reshape(first, PermuteShape(padded, perm), name));
  } else if (const Tensor* constant = KnownTensor(graph_, first)) {
    WSI_ASSIGN_OR_RETURN(Tensor copy, constant->Clone());
    WSI_ASSIGN_OR_RETURN(Tensor permuted, std::move(copy).Reshaped(padded).Permute(perm));
    result = AddSharedConstant(graph_, name, std::move(permuted));
  } else {
    WSI_ASSIGN_OR_RETURN(const ValueId reshaped, Reshape(first, padded, name));
    WSI_ASSIGN_OR_RETURN(result, Transpose(reshaped, perm, name));
  }
  broadcast_.emplace(std::pair(first, rank), result);
  return result;
}

Result<ValueId> LayoutForms::Transpose(ValueId id, std::vector<int64_t> perm,
                                       const std::string& name) {
  const NodeId producer = graph_.value(id).producer;
  if (producer.valid() && graph_.node(producer).op == "Transpose") {
    const std::vector<int64_t> inner = graph_.node(producer).attributes.Ints("perm");
    for (int64_t& axis : perm) axis = inner[static_cast<size_t>(axis)];
    id = graph_.node(producer).inputs[0];
    // Both forms need ids of their own; MergeViews takes the empty Reshape out again.
    if (std::is_sorted(perm.begin(), perm.end())) return Reshape(id, graph_.value(id).shape, name);
  }
  Node node = MakeNode("Transpose", name, {id}, {{"perm", perm}});
  return builder_.Add(std::move(node), name);
}

Result<ValueId> LayoutForms::Reshape(ValueId id, const Shape& shape, const std::string& name) {
  Node node = MakeNode("Reshape", name, {id},
                       {{"shape", std::vector<int64_t>(shape.begin(), shape.end())}});
  return builder_.Add(std::move(node), name);
}

}  // namespace wsi
