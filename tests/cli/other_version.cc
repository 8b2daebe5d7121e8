// Makes a wsirun of a version that there is none of.
#include "tools/wsirun/version.h"

namespace wsi {

std::string_view Version() { return WSI_VERSION "-other"; }

}  // namespace wsi
