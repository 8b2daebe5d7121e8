#include "passes/fuse.h"

#include "passes/dead_code.h"
#include "passes/fuse_batch_norm.h"
#include "passes/fuse_pointwise.h"

namespace wsi {

Result<bool> Fuse(Graph& graph, const FuseOptions&, PassContext&) {
  WSI_ASSIGN_OR_RETURN(bool changed, SplitBatchNormTrain(graph));
  WSI_ASSIGN_OR_RETURN(const bool forward, FuseIntoBatchNormApply(graph));
  WSI_ASSIGN_OR_RETURN(const bool backward, FuseReluGrads(graph));
  changed |= forward || backward;
  if (changed) RemoveDeadCode(graph);
  WSI_ASSIGN_OR_RETURN(const bool less, ReadLessInGrads(graph));
  changed |= less;
  if (less) RemoveDeadCode(graph);
  WSI_ASSIGN_OR_RETURN(const bool pointwise, FusePointwise(graph));
  if (!changed && !pointwise) return false;
  graph.Compact();
  return true;
}

}  // namespace wsi
