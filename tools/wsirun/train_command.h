// wsirun train: a plan trains on slides.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddGradCommand (tensor_commands.h).
void AddTrainCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
