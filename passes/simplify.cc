#include "passes/simplify.h"

#include "passes/common_subexpressions.h"
#include "passes/dead_code.h"
#include "passes/fold_constants.h"
#include "passes/simplify_rules.h"

namespace wsi {

Result<bool> Simplify(Graph& graph, const SimplifyOptions& options, PassContext&) {
  bool changed = false;
  for (bool again = true; again;) {
    WSI_ASSIGN_OR_RETURN(again, FoldConstants(graph, options.fold_limit));
    WSI_ASSIGN_OR_RETURN(const bool rewritten, ApplySimplifyRules(graph, options.inference));
    again |= rewritten;
    again |= MergeCommonSubexpressions(graph);
    again |= RemoveDeadCode(graph);
    changed |= again;
  }
  if (changed) graph.Compact();
  return changed;
}

}  // namespace wsi
