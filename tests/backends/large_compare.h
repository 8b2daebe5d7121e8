// How what a backend gives is held against the reference's.
#pragma once

#include "tests/backends/backend_cases.h"

namespace wsi {

// Whether `got` is `want`, of f64, within a case's bound and what rounding to its type takes;
// of other types the same bits.
Status CheckClose(const Tensor& got, const Tensor& want, const Bound& bound);

}  // namespace wsi
