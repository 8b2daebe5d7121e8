// wsirun doctor: what this machine offers to a run.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddGradCommand (tensor_commands.h).
void AddDoctorCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
