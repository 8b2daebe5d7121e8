// wsic export: trained weights go back into the ONNX model that they came from.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddCompileCommand (compile_command.h).
void AddExportCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
