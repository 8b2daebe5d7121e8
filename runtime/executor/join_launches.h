// Neighbours in a program that the backend runs as one. Private to the executor.
#pragma once

#include <span>

#include "runtime/executor/compiled_program.h"

namespace wsi {

// Gives the first of each run of launches that the backend takes together the kernel of
// all, and the others none: launches of one operator that follow each other on the compute
// lane, where no other lane waits in between.
//
//   before   Update a | Update b | Update c | copy out a' ...
//   after    Update a, b, c      |          |
//
// `steps` are a program's, with waits, records and taps.
Status JoinLaunches(const plan::Plan& plan, Backend* backend, std::span<Step> steps);

}  // namespace wsi
