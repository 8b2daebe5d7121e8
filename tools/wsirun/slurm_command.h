// wsirun slurm: the batch script of a training run.
#pragma once

namespace CLI {
class App;
}

namespace wsi {

// As AddGradCommand (tensor_commands.h).
void AddSlurmCommand(CLI::App& app, int* exit_code);

}  // namespace wsi
