// A tensor as rows along one of its axes.
#pragma once

#include <cstdint>

#include "runtime/base/shape.h"

namespace wsi {

// Element j of row (outer, inner) lies at (outer * length + j) * inner_count + inner.
struct Rows {
  int64_t outer_count = 1;
  int64_t length = 1;
  int64_t inner_count = 1;
};

// REQUIRES: 0 <= axis < shape.rank().
inline Rows RowsAlong(const Shape& shape, int axis) {
  Rows rows;
  for (int a = 0; a < axis; ++a) rows.outer_count *= shape[a];
  rows.length = shape[axis];
  for (int a = axis + 1; a < shape.rank(); ++a) rows.inner_count *= shape[a];
  return rows;
}

// Calls f(row, first): rows are counted from 0, element j lies at
// first + j * inner_count.
template <typename F>
void ForEachRow(const Rows& rows, F f) {
  for (int64_t outer = 0; outer < rows.outer_count; ++outer) {
    for (int64_t inner = 0; inner < rows.inner_count; ++inner) {
      f(outer * rows.inner_count + inner, outer * rows.length * rows.inner_count + inner);
    }
  }
}

}  // namespace wsi
