// The operator table as documentation.
#pragma once

#include <string>

namespace wsi {

// A markdown table of all operators for docs/operators.md, one row each, sorted by name.
std::string OperatorTable();

}  // namespace wsi
