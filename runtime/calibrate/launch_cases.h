// The launches that a device's rates are measured with: convolutions of the sizes that
// residual and mobile networks have on images of about 1024 pixels a side, and what
// stands between convolutions.
#pragma once

#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/base/attributes.h"

namespace wsi {

// Work as the operator's definition in the compiler counts it.
struct LaunchCase {
  std::string op;
  Attributes attributes;
  std::vector<OperandSpec> inputs;
  std::vector<OperandSpec> outputs;
  bool matrix = false;  // As plan::Launch has it.
  double flops = 0;
  double bytes = 0;
};

// What a backend compiles. Borrows from the case.
LaunchSpec SpecOf(const LaunchCase& launch);

// With activations of `type`, f32 or bf16; `divisor` makes images smaller by so much on
// each side, for tests.
std::vector<LaunchCase> LaunchCases(DType type, int64_t divisor = 1);

}  // namespace wsi
