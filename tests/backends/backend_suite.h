// The suite that every backend passes. An executable per backend links backend_suite.cc
// with one definition of MakeBackendUnderTest.
#pragma once

#include <memory>

#include "runtime/backends/backend.h"

namespace wsi {

std::unique_ptr<Backend> MakeBackendUnderTest();
// The float type that the backend is tested in.
DType FloatTypeUnderTest();

}  // namespace wsi
