// wsirun: runs execution plans.
#include <CLI/CLI.hpp>
#include <string>

#include "runtime/base/status.h"
#include "tools/wsirun/bench_command.h"
#include "tools/wsirun/doctor_command.h"
#include "tools/wsirun/eval_commands.h"
#include "tools/wsirun/slides_command.h"
#include "tools/wsirun/slurm_command.h"
#include "tools/wsirun/tensor_commands.h"
#include "tools/wsirun/train_command.h"
#include "tools/wsirun/version.h"

int main(int argc, char** argv) {
  CLI::App app("Trains and evaluates with execution plans", "wsirun");
  app.set_version_flag("--version", "wsirun " + std::string(wsi::Version()));
  app.require_subcommand(1);
  int exit_code = 0;
  wsi::AddTrainCommand(app, &exit_code);
  wsi::AddEvalCommand(app, &exit_code);
  wsi::AddPredictCommand(app, &exit_code);
  wsi::AddGradCommand(app, &exit_code);
  wsi::AddInferCommand(app, &exit_code);
  wsi::AddBenchCommand(app, &exit_code);
  wsi::AddSlidesCommand(app, &exit_code);
  wsi::AddSlurmCommand(app, &exit_code);
  wsi::AddDoctorCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : wsi::ExitCode(wsi::ErrorCode::kUsage);
  }
  return exit_code;
}
