// Runs passes one behind the other and trusts none of them.
#pragma once

#include <span>

#include "compiler/ir/graph.h"
#include "compiler/pass/dump.h"
#include "compiler/pass/pass.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

// Runs passes[first_pass], passes[first_pass + 1], ... on `graph`. Around every pass,
// in every build:
// - the graph is compacted (so ids do not survive from one pass to the next);
// - it is verified;
// - a pass whose result disagrees with HashGraph about a change fails.
// The graph given is verified first. A pass's own error comes back as it is, with the
// pass's name before it; an invalid graph or a false result is kInternal.
Status RunPasses(Graph& graph, std::span<const Pass> passes, const DumpOptions& dumps,
                 PassContext& context, size_t first_pass = 0);

}  // namespace wsi
