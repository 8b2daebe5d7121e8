// The attributes of the operator Pointwise, which runs a pointwise program over operands
// that broadcast to one shape, the program's domain:
//
//   program="t0 = ...; t1 = ..."   the steps
//   results=[1, 0]                 output i is the value of step results[i]
//   types="f32 bool"               and of this type
//   sums=[1]                       the outputs that are summed over the axes
//   axes=[0, 1, 2]                 of the domain, ascending; they stay, with size 1
//   factor=1.0                     multiplies the sums (1/n makes means)
#pragma once

#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/pointwise_program.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"

namespace wsi {

struct PointwiseResult {
  int step = 0;
  DType dtype = DType::kF32;
  bool is_sum = false;
};

struct PointwiseAttributes {
  PointwiseProgram program;
  std::vector<PointwiseResult> results;  // One for each output.
  std::vector<int64_t> axes;
  double factor = 1.0;

  bool HasSums() const;
  // The shape of the sums over `domain`.
  Shape SumShape(const Shape& domain) const;
};

// Reads them as from a hostile file, for a node of `inputs` inputs over `domain`.
Result<PointwiseAttributes> ReadPointwiseAttributes(const Attributes& attributes, int inputs,
                                                    const Shape& domain);
// What reads back as `kernel`.
Attributes WritePointwiseAttributes(const PointwiseAttributes& kernel);

}  // namespace wsi
