// Assign: a place in the device arena for every value and workspace.
//
//   arena  | persistent values, by name | everything else, reused over the step |
//
// Requires: a scheduled graph. Ensures: VerifyBuffers accepts it; the arena's size is
// the step's peak, workspaces included. Undone by: any change to nodes or their order.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// Where persistent values lie, so that all programs of a plan find them in the same
// places.
struct PersistentLayout {
  struct Place {
    Bytes offset = 0;
    Bytes size = 0;
  };
  std::map<std::string, Place, std::less<>> places;  // By value name.
  Bytes bytes = 0;  // What lies behind begins here; a multiple of kBufferAlignment.
};

// Lays out the persistent values of all `graphs` by name, from offset 0. kInternal
// where two graphs disagree about the size of one.
Result<PersistentLayout> LayOutPersistents(std::span<const Graph* const> graphs);

struct AssignOptions {
  // Of all programs of the plan; none: of this graph alone.
  std::optional<PersistentLayout> persistents;
  // kResources where the arena would be larger; 0: any size.
  Bytes device_budget = 0;
};
Result<bool> AssignBuffers(Graph& graph, const AssignOptions& options, PassContext& context);

// For a PassEntry called "assign". Options: device_budget (bytes).
Result<PassFunction> MakeAssignPass(const Attributes& options);

}  // namespace wsi
