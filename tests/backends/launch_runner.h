// Runs launches one by one on a backend, each in an arena of its own where operands are
// surrounded by guard bytes and outputs begin as NaN. They have the workspace that is planned
// for the backend.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"
#include "runtime/backends/backend.h"
#include "runtime/base/tensor.h"

namespace wsi {

struct Launch {
  std::string op;
  std::string node;
  Attributes attributes;
  std::vector<const Tensor*> inputs;               // Null: absent.
  std::vector<std::optional<TensorType>> outputs;  // None: not asked for.
  std::optional<std::pair<int, int>> in_place;     // (output, input) that share memory.
};

class LaunchRunner {
 public:
  // `backend`: null where its device is not there.
  explicit LaunchRunner(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  bool has_backend() const { return backend_ != nullptr; }
  // The outputs, or an error: also where the kernel wrote outside its outputs and
  // workspace. An output that was not asked for is an empty tensor.
  Result<std::vector<Tensor>> Run(const Launch& launch);
  // As a program runs them: all are compiled before the first runs, then they run `rounds`
  // times one behind the other. What each gives in the last round.
  Result<std::vector<std::vector<Tensor>>> RunInTurn(std::span<const Launch> launches, int rounds);

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Lane> lane_;  // The compute lane, from the first run on.
};

// What InferTypes gives for a launch: one type per entry of `outputs`, of which those
// that are false stay without.
Status InferLaunch(Launch& launch, const std::vector<bool>& outputs);

}  // namespace wsi
