// wsirun bench: how long a step takes and how much memory it uses.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddGradCommand (tensor_commands.h).
void AddBenchCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
