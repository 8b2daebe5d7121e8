#include "runtime/base/dtype.h"

#include <fmt/format.h>

#include <array>

namespace wsi {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  Bytes bytes;
  bool is_float;
};
constexpr std::array<Row, 13> kRows = {{{DType::kF32, "f32", 4, true},
                                        {DType::kF64, "f64", 8, true},
                                        {DType::kF16, "f16", 2, true},
                                        {DType::kBF16, "bf16", 2, true},
                                        {DType::kI64, "i64", 8, false},
                                        {DType::kI32, "i32", 4, false},
                                        {DType::kU8, "u8", 1, false},
                                        {DType::kBool, "bool", 1, false},
                                        {DType::kI8, "i8", 1, false},
                                        {DType::kI16, "i16", 2, false},
                                        {DType::kU16, "u16", 2, false},
                                        {DType::kU32, "u32", 4, false},
                                        {DType::kU64, "u64", 8, false}}};

const Row& RowOf(DType dtype) {
  const auto index = static_cast<size_t>(dtype) - 1;
  WSI_CHECK(index < kRows.size());
  return kRows[index];
}

}  // namespace

std::string_view DTypeName(DType dtype) { return RowOf(dtype).name; }
Bytes DTypeBytes(DType dtype) { return RowOf(dtype).bytes; }
bool IsFloat(DType dtype) { return RowOf(dtype).is_float; }

Result<DType> ParseDType(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return InvalidInput(fmt::format("'{}' is not an element type", name));
}

Result<DType> DTypeFromNumber(int64_t value) {
  for (const Row& row : kRows) {
    if (static_cast<int64_t>(row.dtype) == value) return row.dtype;
  }
  return InvalidInput(fmt::format("{} is not the number of an element type", value));
}

}  // namespace wsi
