#include "tests/conformance/node_cases.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace wsi {

namespace fs = std::filesystem;

std::string UnpackedNodeCases() {
  const char* data = std::getenv("WSI_TEST_DATA");
  const fs::path archive =
      fs::path(data != nullptr ? data : "../shared/data") / "onnx-node/onnx-1.23-node-cases.tar.gz";
  if (!fs::exists(archive)) return {};
  const fs::path folder = fs::path(WSI_CASES_FOLDER) / "cases";
  if (fs::exists(folder)) return folder.string();
  // Of this process alone: others may unpack at the same time.
  const fs::path partial = folder.string() + ".partial" + std::to_string(::getpid());
  fs::remove_all(partial);
  fs::create_directories(partial);
  const std::string command = "tar -xzf '" + archive.string() + "' -C '" + partial.string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(cert-env33-c)
  std::error_code was_there;
  fs::rename(partial, folder, was_there);
  if (was_there) fs::remove_all(partial);
  return folder.string();
}

}  // namespace wsi
