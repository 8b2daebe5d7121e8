// Reads attributes as from a hostile file: presence, type, range and count are
// checked, and messages name the attribute, what was found and what is wanted.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"

namespace wsi {

// Kernel sizes, strides, dilations and pads stay below this.
inline constexpr int64_t kMaxWindow = std::numeric_limits<int32_t>::max();

// An integer in [low, high]; `otherwise` if there is none, an error if that is empty.
Result<int64_t> CheckedInt(const Attributes& attributes, std::string_view name, int64_t low,
                           int64_t high, std::optional<int64_t> otherwise = {});
// 0 or 1.
Result<bool> CheckedFlag(const Attributes& attributes, std::string_view name, bool otherwise);
// A number in [low, high], never NaN; an integer converts.
Result<double> CheckedFloat(const Attributes& attributes, std::string_view name,
                            std::optional<double> otherwise = {},
                            double low = -std::numeric_limits<double>::infinity(),
                            double high = std::numeric_limits<double>::infinity());
Result<std::string> CheckedString(const Attributes& attributes, std::string_view name,
                                  std::optional<std::string> otherwise = {});
// Integers in [low, high]; exactly `count` of them unless that is negative.
Result<std::vector<int64_t>> CheckedInts(const Attributes& attributes, std::string_view name,
                                         int64_t low, int64_t high, int count = -1);
// An axis in [0, rank).
Result<int> CheckedAxis(const Attributes& attributes, std::string_view name, int rank);
// Different axes in [0, rank).
Result<std::vector<int64_t>> CheckedAxes(const Attributes& attributes, std::string_view name,
                                         int rank);
Result<Shape> CheckedShape(const Attributes& attributes, std::string_view name);
Result<DType> CheckedDType(const Attributes& attributes, std::string_view name);

}  // namespace wsi
