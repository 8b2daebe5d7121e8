#include "tools/wsirun/report.h"

#include <fmt/format.h>

namespace wsi {

int Report(std::string_view command, const Status& status) {
  if (!status.ok()) fmt::print(stderr, "wsirun {}: {}\n", command, status.message());
  return ExitCode(status.code());
}

}  // namespace wsi
