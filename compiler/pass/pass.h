// Pass: one step of the compilation, from a graph to a better or lower graph.
//
// A pass says truthfully whether it changed the graph. It is built from plain
// options, so that every pass also runs alone from `wsic opt`.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/attributes.h"
#include "runtime/base/status.h"

namespace wsi {

// Returns whether it changed the graph.
using PassFunction = std::function<Result<bool>(Graph&, PassContext&)>;

// A pass with its options bound, ready to run.
struct Pass {
  std::string name;  // kebab-case: the same word in file, flag, dump and test.
  PassFunction run;
};

// A pass that can be built by name. `make` starts from the default of every option,
// takes those given, and rejects (kUsage) unknown names and values of a wrong type,
// naming the option and what is allowed.
struct PassEntry {
  std::string_view name;     // kebab-case
  std::string_view summary;  // One line for docs and `wsic opt --help`.
  Result<PassFunction> (*make)(const Attributes& options) = nullptr;
};

}  // namespace wsi
