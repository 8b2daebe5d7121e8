// The text form of a graph: what dumps, `wsic opt` and pass tests read and write.
//
//   wsir 1
//   graph "tiny"
//
//   %x : f32[1,4] @2 input
//   %w : f32[3,4] @0 parameter tensor "fc.weight" permute [1,0]
//   %two : f32[] @1 constant tensor "two" = [2.0]
//
//   %y : f32[1,3] @3 = Gemm(%x, %w, _) {alpha=1.0, transB=1} forward "fc" workspace 64 @4
//   %z : f32[1,3] @3, _ = Dropout(%y) {ratio=0.5} forward "drop"
//
//   outputs %z
//   loss %loss
//   update %mean <- %mean.new
//   gradient %w <- %w.grad
//
//   arena 4096
//   arena host 512
//   buffer @0 device offset 0 size 48 live [0,2)
//
// A value outside the device has its tier behind its shape: "%x.1 : f32[4] host @5 = Copy(%x)".
// One statement a line; "#" starts a comment. `_` is an absent operand. Names of
// values that hold more than letters, digits and "_./-" are quoted: %"a b". The form
// is complete but for tensors: constants of up to 16 elements stand behind "=" (as
// TYPE[SHAPE] [...] where they differ from the value's), all others are named only
// and come from the TensorStore. Numbers print so that they parse back bit for bit;
// the payload of a NaN is not kept.
#pragma once

#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "runtime/base/attributes.h"
#include "runtime/base/status.h"

namespace wsi {

// Deterministic. ParseGraph(PrintGraph(graph)) == graph for every valid graph that
// is compact (Graph::Compact), with the same TensorStore or one that holds all
// tensors that the text leaves out.
std::string PrintGraph(const Graph& graph);

// Reads any text, a hostile one included; time and memory are linear in its size. An
// error is kInvalidInput and says "LINE:COLUMN: expected ..., found ...". Inline
// constants are added to `tensors`; one that is there already must agree. The graph
// is compact: declared values that nothing names are left out. It is well formed as
// text only: VerifyGraph says whether it means something.
// `tensors` outlives the graph.
Result<Graph> ParseGraph(std::string_view text, TensorStore* tensors);

// "{alpha=1.0, axes=[0, 1], mode="linear"}"; an empty list of doubles is "floats[]".
std::string PrintAttributes(const Attributes& attributes);
Result<Attributes> ParseAttributes(std::string_view text);

// Whether PrintGraph writes the contents of `value`, so that nobody else must.
bool IsPrintedInline(const Graph& graph, ValueId value);

}  // namespace wsi
