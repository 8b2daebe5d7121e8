// Memory of a backend's device, filled and looked through where it lies.
#pragma once

#include "runtime/base/dtype.h"
#include "tests/backends/drawn_values.h"

namespace wsi {

// Elements 0 to below `count` of what is drawn, rounded to `dtype`, at `to`. Done on return.
// REQUIRES: a type of floats, i64, u8 or bool.
Status FillDrawn(DType dtype, const Draw& draw, int64_t count, std::byte* to);

// One of the elements of `bytes` bytes, 1 to 8, of which every bit is set; -1: there is none.
// `record`: 16 bytes of device memory.
Result<int64_t> FindUnset(Bytes bytes, const std::byte* at, int64_t count, std::byte* record);

}  // namespace wsi
