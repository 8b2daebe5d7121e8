// The options of every command that reads slides.
#pragma once

#include <string>

#include "runtime/base/status.h"
#include "runtime/slides/loader.h"
#include "runtime/slides/manifest.h"

namespace CLI {
class App;
}

namespace wsi {

struct SlideArguments {
  std::string manifest;
  double mpp = 0;  // 0: the scale of level 0.
  bool fit = false;
  bool skip_bad = false;
  int loader_threads = 1;
  int prefetch = 4;  // Samples decoded ahead.
  std::string cache = "0B";
};
// Adds --slides, --mpp, --fit, --on-bad-slide, --loader-threads, --prefetch, --cache-mem.
void AddSlideOptions(CLI::App& command, SlideArguments* arguments);
// The loader's view gets its size from the plan.
Result<LoaderOptions> ToLoaderOptions(const SlideArguments& arguments);

}  // namespace wsi
