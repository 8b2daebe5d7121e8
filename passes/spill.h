// Spill: what the host has no room for goes on to a file, and comes back in time.
//
//   device  %x --| Copy                                        Copy |-- %x.in
//   host         |== %x.out ==| Copy            Copy |== %x.back ===|
//   file                      |====== %x.file =======|
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Takes the host values that are idle longest to the file tier until the live bytes of the
// host tier, with what persists there, are within its budget. Writes run behind the copy
// out, reads end where the cost model says that the copy in starts; where the host has no
// room for that, they stand right at the copies. Requires: prefetched copies. Undone by:
// residency, prefetch. kResources, naming a host budget that would do, where the host needs
// more all the same.
struct SpillOptions {
  Bytes host_budget = 0;  // 0: any; nothing is done.
  Bytes file_budget = 0;  // 0: there is no file tier; nothing is done.
  plan::Rates rates;
};
Result<bool> SpillToFile(Graph& graph, const SpillOptions& options, PassContext& context);

// For a PassEntry called "spill". Options: host_budget, file_budget (bytes), rates (a
// built-in name).
Result<PassFunction> MakeSpillPass(const Attributes& options);

}  // namespace wsi
