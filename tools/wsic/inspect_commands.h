// wsic check, show, opt: looking at models, dumps and plans without making any.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddCompileCommand (compile_command.h).
void AddCheckCommand(CLI::App& app, int* exit_code);
void AddShowCommand(CLI::App& app, int* exit_code);
void AddOptCommand(CLI::App& app, int* exit_code);
void AddOpsCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
