// Assign: a place in its tier's arena for every value and workspace.
//
//   arena  | persistent values, by name | everything else, reused over the step |
//
// Requires: a scheduled graph. Ensures: VerifyBuffers accepts it; each arena's size is
// the step's peak in that tier, workspaces included. Undone by: any change to nodes or their order.
#pragma once

#include <array>
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
    Tier tier = Tier::kDevice;
    Bytes offset = 0;
    Bytes size = 0;
  };
  std::map<std::string, Place, std::less<>> places;  // By value name.
  // By tier: what lies behind begins here; a multiple of the tier's alignment.
  std::array<Bytes, kTierCount> bytes{};
};

// Lays out the persistent values of all `graphs` by name, from offset 0. kInternal
// where two graphs disagree about the size or tier of one.
Result<PersistentLayout> LayOutPersistents(std::span<const Graph* const> graphs);

struct AssignOptions {
  // Of all programs of the plan; none: of this graph alone.
  std::optional<PersistentLayout> persistents;
  // By tier: kResources where its arena would be larger; 0: any size.
  std::array<Bytes, kTierCount> budgets{};
  // By tier: a height that is not worth improving on; 0: the lowest is looked for.
  std::array<Bytes, kTierCount> good_enough{};
};
Result<bool> AssignBuffers(Graph& graph, const AssignOptions& options, PassContext& context);

// For a PassEntry called "assign". Options: device_budget, host_budget, file_budget (bytes).
Result<PassFunction> MakeAssignPass(const Attributes& options);

}  // namespace wsi
