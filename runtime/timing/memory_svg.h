// A picture of a program's memory: each buffer a rectangle, as high as its bytes and at
// its offset, as wide as its life in predicted time.
//
//   bytes |  +--------------+      +-----+
//         |  |  activation  |      |     |        one panel for each tier in use,
//         |  +------+-------+------+-----+        the lanes below them
//         |  | parameters                |
//         +--+---------------------------+-- ms
#pragma once

#include <string>

#include "runtime/timing/explain.h"

namespace wsi {

// An SVG document that needs nothing from elsewhere. REQUIRES: `explanation` is of `plan`.
std::string MemorySvg(const plan::Plan& plan, const plan::Rates& rates,
                      const Explanation& explanation);

}  // namespace wsi
