// wsirun slides make|scan|verify|info
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// Adds the command `slides` with its subcommands to `app`. Parsing a command line that names one
// runs it and stores its exit code in *exit_code, which outlives the parsing; otherwise
// *exit_code is left alone.
void AddSlidesCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
