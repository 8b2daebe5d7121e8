// wsic explain: what a plan will need and how long it will take, before it runs.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddCompileCommand (compile_command.h).
void AddExplainCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
