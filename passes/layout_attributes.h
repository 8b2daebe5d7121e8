// Attributes that name axes, rewritten for a tensor whose axes have moved.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/base/attributes.h"

namespace wsi {

// `perm`: axis i of the tensor as it is now was axis perm[i]. Rewrites axis, axes (with
// starts, ends and steps beside them) and pads, leaving axes sorted.
void RemapAxes(Attributes& attributes, std::span<const int64_t> perm);

}  // namespace wsi
