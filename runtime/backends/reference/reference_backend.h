// The oracle: every operator as plain loops in fp64, on one thread.
//
// Floats may be stored as f64, f32, f16 or bf16: a launch computes in f64 and rounds its
// results once. Lanes run what they are given at once, in the order of the calls.
#pragma once

#include <memory>

#include "runtime/backends/backend.h"

namespace wsi {

std::unique_ptr<Backend> MakeReferenceBackend();

}  // namespace wsi
