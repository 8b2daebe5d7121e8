// The suite that every backend passes. An executable per backend links backend_suite.cc
// with one definition of MakeBackendUnderTest.
#pragma once

#include <memory>
#include <vector>

#include "runtime/backends/backend.h"

namespace wsi {

// Null where its device is not there: its tests are skipped.
std::unique_ptr<Backend> MakeBackendUnderTest();
// The types of activations that the backend is tested with.
std::vector<DType> FloatTypesUnderTest();

}  // namespace wsi
