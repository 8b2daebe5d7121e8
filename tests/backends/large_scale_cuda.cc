#include "tests/backends/large_cases.h"

namespace wsi {

Scale ScaleUnderTest() { return {}; }

}  // namespace wsi
