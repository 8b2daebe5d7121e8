// Dumps of the graph between passes, and resuming from one.
#pragma once

#include <functional>
#include <regex>
#include <span>
#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/pass/pass.h"
#include "runtime/base/status.h"

namespace wsi {

struct DumpOptions {
  // Writes NN.PASS.wsir into this folder behind every pass, NN from 01, and
  // 00.import.wsir before the first; with a program, NN.PASS.PROGRAM.wsir. Made where
  // it is missing; dumps of an earlier run are replaced. Empty: none.
  std::string directory;
  // Prints the graph to stderr behind passes whose name this regular expression
  // (ECMAScript) finds. Empty: none.
  std::string after;
  std::string program;  // "infer" for the second program of a compilation.
  // Called once behind the last dump in the folder, a failing run's included: writes
  // the tensors that the dumps only name.
  std::function<Status(const Graph& graph, const std::string& directory)> write_tensors;
};

class Dumper {
 public:
  // kUsage where `after` is no regular expression.
  static Result<Dumper> Make(const DumpOptions& options);

  // `number` passes have run, `pass` last.
  Status Dump(const Graph& graph, size_t number, std::string_view pass);
  Status Finish(const Graph& graph);

 private:
  explicit Dumper(DumpOptions options) : options_(std::move(options)) {}

  DumpOptions options_;
  std::regex after_;
};

// How many of `passes` have run in the dump called `file_name` ("dir/07.fuse.wsir"): a
// run resumes right behind them. kUsage where the name fits none of the passes.
Result<size_t> PassesBehindDump(std::string_view file_name, std::span<const Pass> passes);

}  // namespace wsi
