// Numbers as text that parses back to the same bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/dtype.h"
#include "runtime/base/tensor.h"

namespace wsi {

// The shortest text that reads back as `value`; always with ".", "e", "inf" or "nan",
// so that it is never taken for an integer.
std::string PrintDouble(double value);
std::string PrintFloat(float value);

// The whole of `text` as a number; none if it is not one or does not fit.
std::optional<int64_t> ReadInt(std::string_view text);
std::optional<double> ReadDouble(std::string_view text);
std::optional<float> ReadFloat(std::string_view text);
// Whether a number token is an integer rather than a floating-point number.
bool LooksLikeInt(std::string_view text);

// "[1.0, 2.0]": all elements in row-major order.
std::string PrintElements(const Tensor& tensor);
// Writes `text` as element `index`; false if its type cannot hold it exactly enough
// (integers must be in range, floats round to nearest).
bool ReadElement(std::string_view text, Tensor& tensor, size_t index);

}  // namespace wsi
