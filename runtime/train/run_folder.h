// A run's folder: who may write into it, and what it remembers of the run in run.json.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/slides/manifest.h"

namespace wsi {

struct RunFolder {
  std::string path;
  std::string model_hash;                // Empty: the run has not begun.
  std::string optimizer;                 // Of the plan that the run was begun with.
  std::vector<std::string> class_names;  // In the order of the model's scores.

  // Writes run.json. kInvalidInput if the run was begun with another model or optimizer.
  Status Claim(const plan::Plan& plan, const Manifest& manifest, OutputOptions options);
};

// Makes the folder where it is missing. One that holds a run is refused (kUsage) unless
// the caller resumes it, or starts over by `force`, which removes the old run's files.
Result<RunFolder> OpenRunFolder(const std::string& path, bool resume, bool force);

// What run.json says about the folder that `path` is or lies in; without any, no class
// names.
Result<RunFolder> FindRunFolder(const std::string& path);

}  // namespace wsi
