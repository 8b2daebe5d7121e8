// A part of a launch: a box of its result, computed from boxes of its operands.
#pragma once

#include <optional>

#include "compiler/ops/op_def.h"
#include "compiler/ops/rows.h"
#include "tests/backends/large_cases.h"

namespace wsi {

using Box = std::vector<RowRange>;  // By axis.
Box WholeBox(const Shape& shape);
Shape ShapeOf(const Box& box);

struct LargeWindow {
  Attributes attributes;
  std::vector<Box> inputs;
  std::vector<std::optional<Tensor>> given;  // By input: instead of what is drawn.
  std::vector<std::optional<Box>> outputs;   // None: not asked for, or a share of a sum.
};

// None: not asked for.
using OutputTypeList = std::vector<std::optional<TensorType>>;
Result<OutputTypeList> OutputTypes(const LargeCase& large);

// The case's window with coordinates `at` of output 0 in its middle, as far as there is room.
Result<LargeWindow> WindowAround(const LargeCase& large, const std::vector<int64_t>& at);

// Places in output 0 next to the elements and bytes at which something may change in one of
// the operands, the first and the last.
std::vector<std::vector<int64_t>> PlacesOf(const LargeCase& large, int64_t mark);

}  // namespace wsi
