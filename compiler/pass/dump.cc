#include "compiler/pass/dump.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "compiler/ir/text.h"
#include "runtime/base/file.h"

namespace wsi {
namespace {

constexpr std::string_view kImport = "import";

}  // namespace

Result<Dumper> Dumper::Make(const DumpOptions& options) {
  Dumper dumper(options);
  try {
    dumper.after_ = std::regex(options.after);
  } catch (const std::regex_error& error) {
    return UsageError(
        fmt::format("'{}' is no regular expression: {}", options.after, error.what()));
  }
  if (!options.directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.directory, error);
    if (error) {
      return IoError(fmt::format("cannot make folder {}: {}", options.directory, error.message()));
    }
  }
  return dumper;
}

Status Dumper::Dump(const Graph& graph, size_t number, std::string_view pass) {
  const std::string name = fmt::format("{:02}.{}{}{}.wsir", number, pass,
                                       options_.program.empty() ? "" : ".", options_.program);
  bool prints = false;
  try {
    prints = !options_.after.empty() && std::regex_search(std::string(pass), after_);
  } catch (const std::regex_error& error) {  // Too complex for the library.
    return UsageError(fmt::format("'{}' on '{}': {}", options_.after, pass, error.what()));
  }
  if (!prints && options_.directory.empty()) return {};
  const std::string text = PrintGraph(graph);
  if (prints) std::fprintf(stderr, "# %s\n%s\n", name.c_str(), text.c_str());
  if (options_.directory.empty()) return {};
  return WriteFile((std::filesystem::path(options_.directory) / name).string(), text,
                   {.force = true});
}

Status Dumper::Finish(const Graph& graph) {
  if (options_.directory.empty() || !options_.write_tensors) return {};
  return options_.write_tensors(graph, options_.directory);
}

Result<size_t> PassesBehindDump(std::string_view file_name, std::span<const Pass> passes) {
  const std::string base = std::filesystem::path(file_name).filename().string();
  const auto bad = [&] {
    return UsageError(fmt::format(
        "'{}' is no dump of this pipeline: expected NN.PASS.wsir with NN from 00 to {:02}", base,
        passes.size()));
  };
  const size_t dot = base.find('.');
  const size_t end = dot == std::string::npos ? dot : base.find('.', dot + 1);
  if (end == std::string::npos || !base.ends_with(".wsir")) return bad();
  size_t number = 0;
  const auto [rest, error] = std::from_chars(base.data(), base.data() + dot, number);
  if (error != std::errc() || rest != base.data() + dot || number > passes.size()) return bad();
  const std::string pass = base.substr(dot + 1, end - dot - 1);
  const std::string_view expected = number == 0 ? kImport : passes[number - 1].name;
  if (pass == expected) return number;
  return UsageError(fmt::format("'{}' does not fit: pass {:02} of this pipeline is '{}'", base,
                                number, expected));
}

}  // namespace wsi
