// Workspace: how many bytes each node's kernel takes beside its operands on the device that the
// plan is for (runtime/workspace). What comes behind counts them as live at the node, and gives
// them a place in the arena.
//
// Requires: every pass that changes operators or their types has run; copies of nodes keep
// what they have. Ensures: Node::workspace_bytes.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"
#include "runtime/workspace/workspace.h"

namespace wsi {

Result<bool> SetWorkspaces(Graph& graph, const WorkspaceOptions& options, PassContext& context);

}  // namespace wsi
