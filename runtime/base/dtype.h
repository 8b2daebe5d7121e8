// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

namespace wsi {

// The values are stored in plans: append, never renumber.
enum class DType : uint8_t {
  kF32 = 1,
  kF64 = 2,
  kF16 = 3,
  kBF16 = 4,
  kI64 = 5,
  kI32 = 6,
  kU8 = 7,
  kBool = 8,
  kI8 = 9,
  kI16 = 10,
  kU16 = 11,
  kU32 = 12,
  kU64 = 13,
};

// "f32", "i64", ... as dumps print them.
std::string_view DTypeName(DType dtype);
Result<DType> ParseDType(std::string_view name);
// The type stored as `value`, or an error naming the number.
Result<DType> DTypeFromNumber(int64_t value);
Bytes DTypeBytes(DType dtype);
bool IsFloat(DType dtype);

}  // namespace wsi
