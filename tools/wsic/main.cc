// wsic: compiles ONNX models into execution plans.
#include <CLI/CLI.hpp>

#include "runtime/base/status.h"
#include "tools/wsic/compile_command.h"
#include "tools/wsic/explain_command.h"
#include "tools/wsic/export_command.h"
#include "tools/wsic/inspect_commands.h"

int main(int argc, char** argv) {
  CLI::App app("Compiles ONNX models into execution plans for training", "wsic");
  app.set_version_flag("--version", "wsic " WSI_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  wsi::AddCompileCommand(app, &exit_code);
  wsi::AddCheckCommand(app, &exit_code);
  wsi::AddShowCommand(app, &exit_code);
  wsi::AddExplainCommand(app, &exit_code);
  wsi::AddOptCommand(app, &exit_code);
  wsi::AddOpsCommand(app, &exit_code);
  wsi::AddExportCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wsi::ExitCode(wsi::ErrorCode::kUsage);
  }
  return exit_code;
}
