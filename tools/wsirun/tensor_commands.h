// wsirun grad, infer: one step or one forward pass over arrays from files.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// Add a command. Parsing a command line that names it runs it and stores its exit code in
// *exit_code, which outlives the parsing.
void AddGradCommand(CLI::App& app, int* exit_code);
void AddInferCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
