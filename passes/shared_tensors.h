// Tensors that a pass makes, where the graphs of one compilation meet in one store.
#pragma once

#include <string>

#include "compiler/ir/graph.h"

namespace wsi {

// Stores `tensor` under `base`, or a numbered form of it where other contents have that
// key; equal contents are stored once. Returns the key.
std::string StoreShared(TensorStore& store, const std::string& base, Tensor tensor);

// A kConstant called `name` (or a numbered form of it) that holds `tensor`.
ValueId AddSharedConstant(Graph& graph, const std::string& name, Tensor tensor);

// The contents of a constant as the value's own type, or null: as ConstantTensor, but
// also null for a constant whose stored tensor has another type.
const Tensor* KnownTensor(const Graph& graph, ValueId id);

}  // namespace wsi
