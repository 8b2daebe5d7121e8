// wsirun eval, predict: trained weights on slides.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddGradCommand (tensor_commands.h).
void AddEvalCommand(CLI::App& app, int* exit_code);
void AddPredictCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
