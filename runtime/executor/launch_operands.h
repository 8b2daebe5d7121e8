// A launch of a plan as backends take it. Private to the executor.
#pragma once

#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Borrows the plan; spec() borrows this object as well.
class LaunchOperands {
 public:
  // `instruction` has a launch.
  LaunchOperands(const plan::Plan& plan, const plan::Instruction& instruction);
  LaunchSpec spec() const;

 private:
  const plan::Instruction& instruction_;
  Attributes attributes_;
  std::vector<OperandSpec> inputs_;
  std::vector<OperandSpec> outputs_;
  Bytes workspace_bytes_ = 0;
};

}  // namespace wsi
