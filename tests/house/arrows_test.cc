// Reads every #include line and fails on an arrow that the design does not have
// (docs/architecture.md): who may include whom, and which library stays in which
// folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Longest prefix wins. A folder may always include itself.
const std::map<std::string, std::set<std::string>>& Arrows() {
  static const std::map<std::string, std::set<std::string>> arrows = {
      {"runtime/base", {}},
      {"runtime/plan", {"runtime/base"}},
      {"runtime/timing", {"runtime/base", "runtime/plan"}},
      {"runtime/backends", {"runtime/base"}},
      {"runtime/backends/cpu", {"runtime/base", "runtime/backends"}},
      {"runtime/backends/cuda", {"runtime/base", "runtime/backends", "runtime/workspace"}},
      {"runtime/backends/reference", {"runtime/base", "runtime/backends"}},
      {"runtime/workspace", {"runtime/base", "runtime/backends"}},
      {"runtime/memory", {"runtime/base", "runtime/backends"}},
      {"runtime/calibrate",
       {"runtime/base", "runtime/plan", "runtime/timing", "runtime/memory", "runtime/backends",
        "runtime/comm"}},
      {"runtime/comm", {"runtime/base"}},
      {"runtime/placement", {"runtime/base"}},
      {"runtime/executor",
       {"runtime/base", "runtime/plan", "runtime/memory", "runtime/backends", "runtime/comm"}},
      {"runtime/slides", {"runtime/base"}},
      {"runtime/train",
       {"runtime/base", "runtime/plan", "runtime/timing", "runtime/executor", "runtime/slides",
        "runtime/backends", "runtime/comm"}},
      {"compiler/ir", {"compiler/ops", "runtime/base"}},
      {"compiler/ops", {"compiler/ir", "runtime/base"}},
      {"compiler/pass", {"compiler/ir", "compiler/ops", "runtime/base"}},
      {"passes",
       {"compiler/ir", "compiler/ops", "compiler/pass", "runtime/base", "runtime/plan",
        "runtime/timing", "runtime/workspace"}},
      {"frontends/onnx", {"compiler/ir", "compiler/ops", "compiler/pass", "runtime/base"}},
      {"models", {"frontends/onnx", "runtime/base"}},
      {"tools/wsic",
       {"frontends/onnx", "passes", "compiler/ir", "compiler/ops", "compiler/pass", "runtime/base",
        "runtime/plan", "runtime/timing", "runtime/workspace"}},
      {"tools/wsirun",
       {"runtime/base", "runtime/plan", "runtime/timing", "runtime/calibrate", "runtime/backends",
        "runtime/backends/cpu", "runtime/backends/cuda", "runtime/backends/reference",
        "runtime/memory", "runtime/executor", "runtime/slides", "runtime/train", "runtime/comm",
        "runtime/placement"}},
      {"tools/wsi-onnx-conformance",
       {"frontends/onnx", "passes", "compiler/ir", "compiler/ops", "compiler/pass", "runtime/base",
        "runtime/plan", "runtime/backends", "runtime/backends/cpu", "runtime/backends/cuda",
        "runtime/backends/reference", "runtime/executor"}},
      {"tools/wsi-model", {"models", "frontends/onnx", "runtime/base"}},
  };
  return arrows;
}

// Libraries' headers by prefix, and the one folder that may include them.
const std::map<std::string, std::string>& Confined() {
  static const std::map<std::string, std::string> confined = {
      {"dnnl", "runtime/backends/cpu"},    {"oneapi/dnnl", "runtime/backends/cpu"},
      {"cudnn", "runtime/backends/cuda"},  {"cuda", "runtime/backends/cuda"},
      {"cublas", "runtime/backends/cuda"}, {"nvrtc", "runtime/backends/cuda"},
      {"mpi.h", "runtime/comm"},           {"nccl.h", "runtime/backends/cuda"},
      {"openslide", "runtime/slides"},     {"tiff", "runtime/slides"},
      {"onnx/", "frontends/onnx"},         {"hwloc", "runtime/placement"},
  };
  return confined;
}

std::string FolderOf(const std::string& path) {
  std::string best;
  for (const auto& [folder, allowed] : Arrows()) {
    if (path.starts_with(folder + "/") && folder.size() > best.size()) best = folder;
  }
  return best;
}

struct Include {
  std::string from;
  std::string target;
};

std::vector<Include> AllIncludes() {
  std::vector<Include> includes;
  for (const char* top : {"compiler", "runtime", "passes", "frontends", "models", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".h" && extension != ".cu" && extension != ".cuh") {
        continue;
      }
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("#include")) continue;
        const size_t open = line.find_first_of("<\"");
        const size_t close = line.find_first_of(">\"", open + 1);
        if (open == std::string::npos || close == std::string::npos) continue;
        includes.push_back({entry.path().string(), line.substr(open + 1, close - open - 1)});
      }
    }
  }
  return includes;
}

TEST(Arrows, EveryIncludeIsOneTheDesignHas) {
  const std::vector<Include> includes = AllIncludes();
  ASSERT_GT(includes.size(), 100U) << "run from the project's root";
  for (const Include& include : includes) {
    const std::string from = FolderOf(include.from);
    ASSERT_FALSE(from.empty()) << include.from << " is in no folder of the design";
    const std::string to = FolderOf(include.target);
    if (to.empty() || to == from) continue;
    EXPECT_TRUE(Arrows().at(from).contains(to)) << include.from << " includes " << include.target
                                                << ", but " << from << " may not include " << to;
  }
}

TEST(Arrows, LibrariesStayInTheirFolders) {
  for (const Include& include : AllIncludes()) {
    for (const auto& [prefix, folder] : Confined()) {
      if (!include.target.starts_with(prefix)) continue;
      EXPECT_TRUE(include.from.starts_with(folder + "/"))
          << include.from << " includes " << include.target << ", which only " << folder << " may";
    }
  }
}

}  // namespace
