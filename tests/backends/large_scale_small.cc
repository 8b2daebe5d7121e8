#include "tests/backends/large_cases.h"

namespace wsi {

Scale ScaleUnderTest() { return {.mark = 4096, .columns = 19, .side = 24}; }

}  // namespace wsi
