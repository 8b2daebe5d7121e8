// ln(sum(exp)) along a row.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/backends/rows.h"

namespace wsi::reference {

// The largest element is taken out first, so that nothing overflows.
inline double LogSumExp(const Rows& rows, const double* x, int64_t first) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < rows.length; ++j) {
    largest = std::max(largest, x[first + j * rows.inner_count]);
  }
  double sum = 0;
  for (int64_t j = 0; j < rows.length; ++j) {
    sum += std::exp(x[first + j * rows.inner_count] - largest);
  }
  return largest + std::log(sum);
}

}  // namespace wsi::reference
