// The oracle: every operator as plain loops in fp64, on one thread.
//
// Floats are f64 throughout; a launch with any other float is refused. Lanes run what
// they are given at once, in the order of the calls.
#pragma once

#include <memory>

#include "runtime/backends/backend.h"

namespace wsi {

std::unique_ptr<Backend> MakeReferenceBackend();

}  // namespace wsi
