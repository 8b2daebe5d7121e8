// The waits of a program's instructions: what must have ended on other lanes before each
// may touch its memory.
#pragma once

#include "runtime/plan/plan.pb.h"

namespace wsi {

// Sets Instruction.waits such that any two instructions that touch the same bytes, one of
// them writing, run in the order of the list. Only what lanes, barriers and other waits do
// not imply is waited for, and of each lane only the last.
// REQUIRES: buffers and values are those that the program uses; buffers that are live at
// the same instruction do not overlap.
void SetWaits(const plan::Plan& plan, plan::Program& program);

}  // namespace wsi
