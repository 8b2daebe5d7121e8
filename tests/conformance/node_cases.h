// ONNX's backend node cases of the shared test data.
#pragma once

#include <string>

namespace wsi {

// The archive's cases in the build folder, unpacked once; empty if there is no archive.
std::string UnpackedNodeCases();

}  // namespace wsi
