#include "runtime/base/band.h"

#include <fmt/format.h>

#include <algorithm>

namespace wsi {

Result<BandOfWhole> BandOfWhole::Read(const Attributes& attributes, const Shape& band) {
  BandOfWhole result;
  result.band_run_ = std::max<int64_t>(band.ElementCount(), 1);
  result.whole_run_ = result.band_run_;
  const AttributeValue* value = attributes.Find("band");
  if (value == nullptr) return result;
  const auto* ints = std::get_if<std::vector<int64_t>>(value);
  const bool fits = ints != nullptr && ints->size() == 3 && (*ints)[0] >= 0 &&
                    (*ints)[0] < band.rank() && band.ElementCount() > 0;
  if (!fits) {
    return InvalidInput(fmt::format(
        "attribute band wants an axis of {}, a first row and a number of rows", band.ToString()));
  }
  const int axis = static_cast<int>((*ints)[0]);
  const int64_t begin = (*ints)[1];
  const int64_t size = (*ints)[2];
  result.axis_ = axis;
  result.begin_ = begin;
  result.rows_ = band[axis];
  result.size_ = size;
  if (begin < 0 || size < band[axis] || begin > size - band[axis]) {
    return InvalidInput(fmt::format("attribute band: rows {} to {} + {} are not within {} rows",
                                    begin, begin, band[axis], size));
  }
  int64_t row = 1;
  for (int a = axis + 1; a < band.rank(); ++a) row *= band[a];
  result.band_run_ = band[axis] * row;
  int64_t outer = 1;
  for (int a = 0; a < axis; ++a) outer *= band[a];
  WSI_ASSIGN_OR_RETURN(result.whole_run_, CheckedMul(size, row));
  WSI_RETURN_IF_ERROR(CheckedMul(result.whole_run_, outer).status());
  result.offset_ = begin * row;
  return result;
}

}  // namespace wsi
