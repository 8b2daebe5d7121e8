// Attributes of convolutions and pools in test cases, channels last.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/shape.h"

namespace wsi {

inline Attributes WindowAttributes(std::vector<int64_t> kernel, std::vector<int64_t> strides,
                                   std::vector<int64_t> dilations, std::vector<int64_t> pads) {
  return {{"kernel_shape", std::move(kernel)},
          {"strides", std::move(strides)},
          {"dilations", std::move(dilations)},
          {"pads", std::move(pads)},
          {"channels_last", int64_t{1}}};
}

inline Attributes With(Attributes attributes, std::string_view name, AttributeValue value) {
  attributes.Set(name, std::move(value));
  return attributes;
}

inline Attributes WithShape(Attributes attributes, std::string_view name, const Shape& shape) {
  return With(std::move(attributes), name, std::vector<int64_t>(shape.begin(), shape.end()));
}

}  // namespace wsi
