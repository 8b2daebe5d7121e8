// Turns a program's instructions into steps. Private to compiled_program.cc.
#pragma once

#include <map>
#include <string>

#include "runtime/executor/compiled_program.h"

namespace wsi {

class StepBuilder {
 public:
  StepBuilder(int program, PlanMemory* memory, Backend* backend, const Lanes* lanes,
              CompiledProgram* result);
  // Fills the program's steps, operator times and event count.
  Status Build(const ExecutorOptions& options);

 private:
  Status BuildStep(int i);
  void BuildCopy(int i, Step& step);
  Status MakeStaging();
  Status BuildCollective(int i, const ExecutorOptions& options);
  Status BuildBackendCollective(const std::string& name, Step& step);
  Status BuildReduction(int i, const ExecutorOptions& options, Step& step);
  Status BuildLaunch(int i, Step& step);
  void BuildWaits();
  Status BuildTaps();
  void BuildPoison();

  int program_;
  PlanMemory* memory_;
  Backend* backend_;
  const Lanes* lanes_;
  CompiledProgram* result_;
  std::map<std::string, size_t> op_index_;
};

}  // namespace wsi
