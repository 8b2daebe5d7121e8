#include "tools/wsirun/version.h"

namespace wsi {

std::string_view Version() { return WSI_VERSION; }

}  // namespace wsi
