// wsi-model: writes a standard network as an ONNX model with fresh weights.
#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cstdio>
#include <string>

#include "models/models.h"
#include "runtime/base/file.h"

namespace {

struct Arguments {
  std::string network;
  std::string output;
  std::string norm;
  std::string input_size;
  wsi::ModelOptions options;
  bool force = false;
};

// "512x768": height, width.
wsi::Result<std::array<int64_t, 2>> ParseInputSize(const std::string& text) {
  std::array<int64_t, 2> size = {};
  const char* end = text.data() + text.size();
  const auto height = std::from_chars(text.data(), end, size[0]);
  if (height.ec == std::errc() && height.ptr != end && *height.ptr == 'x') {
    const auto width = std::from_chars(height.ptr + 1, end, size[1]);
    if (width.ec == std::errc() && width.ptr == end) return size;
  }
  return wsi::UsageError("--input-size '" + text + "' is not HxW, for example 512x512");
}

wsi::Status Run(Arguments& arguments) {
  WSI_RETURN_IF_ERROR(wsi::CheckOutputPath(arguments.output, arguments.force));
  if (!arguments.norm.empty()) {
    WSI_ASSIGN_OR_RETURN(arguments.options.norm, wsi::ParseModelNorm(arguments.norm));
  }
  if (!arguments.input_size.empty()) {
    WSI_ASSIGN_OR_RETURN(arguments.options.input_size, ParseInputSize(arguments.input_size));
  }
  WSI_ASSIGN_OR_RETURN(const wsi::BuiltModel model,
                       wsi::BuildModel(arguments.network, arguments.options));
  WSI_RETURN_IF_ERROR(model.writer.Write(arguments.output, {.force = arguments.force}));
  std::fprintf(stderr, "wsi-model: %s with %lld parameters in %s\n", arguments.network.c_str(),
               static_cast<long long>(model.parameters), arguments.output.c_str());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Writes a standard network as an ONNX model with fresh weights", "wsi-model");
  std::string names;
  for (const std::string_view name : wsi::ModelNames()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  app.add_option("NAME", arguments.network, names)->required();
  app.add_option("-o,--output", arguments.output, "the ONNX file to write")->required();
  app.add_option("--norm", arguments.norm,
                 "batch, frozen, fixup, group or none (default: batch; none for vgg16)");
  app.add_option("--classes", arguments.options.classes, "outputs")->capture_default_str();
  app.add_option("--seed", arguments.options.seed, "of the weights")->capture_default_str();
  app.add_option("--input-size", arguments.input_size,
                 "HxW (default: bound when the model is compiled; 224x224 for vgg16)");
  app.add_flag("--force", arguments.force, "replace an existing file");
  app.set_version_flag("--version", WSI_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wsi::ExitCode(wsi::ErrorCode::kUsage);
  }
  const wsi::Status status = Run(arguments);
  if (!status.ok()) std::fprintf(stderr, "wsi-model: %s\n", status.message().c_str());
  return wsi::ExitCode(status.code());
}
