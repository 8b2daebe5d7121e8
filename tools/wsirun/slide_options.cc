#include "tools/wsirun/slide_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace wsi {

void AddSlideOptions(CLI::App& command, SlideArguments* a) {
  command.add_option("--slides", a->manifest, "manifest CSV: slide_id, path, label, ...")
      ->required();
  command.add_option("--mpp", a->mpp, "micrometres per pixel (default: the slide's finest level)")
      ->check(CLI::PositiveNumber);
  command.add_flag("--fit", a->fit, "shrink whole slides to fit instead of cropping");
  command
      .add_option_function<std::string>(
          "--on-bad-slide", [a](const std::string& word) { a->skip_bad = word == "skip"; },
          "fail or skip (default: fail)")
      ->check(CLI::IsMember({"fail", "skip"}));
  command.add_option("--loader-threads", a->loader_threads, "threads that decode ahead")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--prefetch", a->prefetch, "slides decoded ahead")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--cache-mem", a->cache, "memory for decoded slides kept over epochs")
      ->capture_default_str();
}

Result<LoaderOptions> ToLoaderOptions(const SlideArguments& a) {
  LoaderOptions options;
  if (a.mpp > 0) options.view.mpp = a.mpp;
  options.view.scale = a.fit ? ViewScale::kFit : ViewScale::kCrop;
  options.threads = a.loader_threads;
  options.capacity = a.prefetch + 1;
  options.on_bad_slide = a.skip_bad ? BadSlidePolicy::kSkip : BadSlidePolicy::kFail;
  options.log = [](const std::string& line) { fmt::print(stderr, "wsirun: {}\n", line); };
  WSI_ASSIGN_OR_RETURN(options.cache_bytes, ParseBytes(a.cache));
  return options;
}

}  // namespace wsi
