// wsic compile: an ONNX model becomes a plan.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// Adds the command. Parsing a command line that names it runs it and stores its exit code
// in *exit_code, which outlives the parsing.
void AddCompileCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
