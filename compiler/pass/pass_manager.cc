#include "compiler/pass/pass_manager.h"

#include <fmt/format.h>

#include "compiler/ir/verifier.h"

namespace wsi {
namespace {

Status RunOne(Graph& graph, const Pass& pass, PassContext& context) {
  const uint64_t before = HashGraph(graph);
  context.set_pass_name(pass.name);
  Result<bool> changed = pass.run(graph, context);
  context.set_pass_name("");
  if (!changed.ok()) return changed.status().WithContext(pass.name);
  if (const Status valid = VerifyGraph(graph); !valid.ok()) {
    return InternalError(
        fmt::format("pass '{}' left an invalid graph: {}", pass.name, valid.message()));
  }
  graph.Compact();
  const bool differs = HashGraph(graph) != before;
  if (differs == *changed) return {};
  return InternalError(fmt::format("pass '{}' says that it {} the graph, but it {}", pass.name,
                                   *changed ? "changed" : "did not change",
                                   differs ? "did" : "did not"));
}

Status RunAll(Graph& graph, std::span<const Pass> passes, Dumper& dumper, PassContext& context,
              size_t first_pass) {
  for (size_t i = first_pass; i < passes.size(); ++i) {
    WSI_RETURN_IF_ERROR(RunOne(graph, passes[i], context));
    WSI_RETURN_IF_ERROR(dumper.Dump(graph, i + 1, passes[i].name));
  }
  return {};
}

}  // namespace

Status RunPasses(Graph& graph, std::span<const Pass> passes, const DumpOptions& dumps,
                 PassContext& context, size_t first_pass) {
  WSI_ASSIGN_OR_RETURN(Dumper dumper, Dumper::Make(dumps));
  WSI_RETURN_IF_ERROR(VerifyGraph(graph));
  graph.Compact();
  if (first_pass == 0) WSI_RETURN_IF_ERROR(dumper.Dump(graph, 0, "import"));
  const Status run = RunAll(graph, passes, dumper, context, first_pass);
  const Status finished = dumper.Finish(graph);
  return run.ok() ? finished : run;
}

}  // namespace wsi
