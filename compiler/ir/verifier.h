// VerifyGraph: whether a graph means something. Runs after every pass in every build.
#pragma once

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// Checks that
// - names of values are unique; roles, producers, tensors and permutations agree;
// - the order holds each node at most once and no value is read before it is made;
// - every operator is known, has an allowed number of operands and the output types
//   that OpDef::infer says;
// - outputs and loss exist, gradients have their parameter's type;
// - updates go to parameters and states, have their type, and nothing reads the old
//   contents behind the node that makes the new ones (which may overwrite them only
//   where OpDef::in_place allows it); a state with several updates holds the value of
//   the last one whose node ran, and each overwrites the one before;
// and, once buffers are assigned, VerifyBuffers.
// Any graph may be given; an error is kInvalidInput and names the node or value.
Status VerifyGraph(const Graph& graph);

// The part on buffers, of a graph that is otherwise valid: each value lies in a live
// buffer of its arena, views lie on their input's bytes, two values share a buffer
// only where one is done with before the other is made (or OpDef::in_place says that
// the one may overwrite the other), and no two buffers overlap in space and time.
// Shares no code with the passes that plan them. Time is O(n log n).
Status VerifyBuffers(const Graph& graph);

}  // namespace wsi
