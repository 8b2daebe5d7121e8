#include "compiler/pass/pass_context.h"

#include <cstdio>

namespace wsi {

PassContext::PassContext()
    : sink_([](std::string_view pass, std::string_view text) {
        std::fprintf(stderr, "note: %.*s: %.*s\n", static_cast<int>(pass.size()), pass.data(),
                     static_cast<int>(text.size()), text.data());
      }) {}

}  // namespace wsi
