// The parts of VerifyPlan, each of which relies on those before it. Private to
// verify_*.cc.
#pragma once

#include <fmt/format.h>

#include <string>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Lanes are 0 to kLanes - 1.
inline constexpr int kLanes = 6;
static_assert(plan::Lane_MAX == kLanes - 1);

inline bool InRange(int64_t index, int64_t count) { return index >= 0 && index < count; }
// Whether the buffer or value exists and may occur in program `index`.
inline bool BufferBelongs(const plan::Plan& plan, int32_t buffer, int index) {
  if (!InRange(buffer, plan.buffers_size())) return false;
  const int program = plan.buffers(buffer).program();
  return program == -1 || program == index;
}
inline bool ValueBelongs(const plan::Plan& plan, int32_t value, int index) {
  return InRange(value, plan.values_size()) &&
         BufferBelongs(plan, plan.values(value).buffer(), index);
}

// Indices, enumerators, sizes, shapes, names.
Status VerifyStructure(const plan::Plan& plan);
// The part of it that looks at one program's instructions. REQUIRES: buffers and values
// are verified.
Status VerifyInstructions(const plan::Plan& plan, const plan::Program& program, int index);
// Rates and amounts of work are numbers of at least 0.
Status VerifyWork(const plan::Plan& plan);
// Buffers that are live together do not overlap.
Status VerifyPlacement(const plan::Plan& plan);
// Operands are live and hold their own contents when they are read.
Status VerifyContents(const plan::Plan& plan, const plan::Program& program, int index);
// Instructions that touch the same bytes, one of them writing, are ordered.
Status VerifyOrder(const plan::Plan& plan, const plan::Program& program);

// "instruction 12 'conv1' (Conv): ...".
inline Status InstructionError(const plan::Program& program, int i, const std::string& problem) {
  const plan::Instruction& instruction = program.instructions(i);
  const char* kind = instruction.has_launch()    ? instruction.launch().op().c_str()
                     : instruction.has_copy()    ? "copy"
                     : instruction.has_barrier() ? "barrier"
                                                 : "collective";
  return InvalidInput(fmt::format("program '{}', instruction {} '{}' ({}): {}", program.name(), i,
                                  instruction.name(), kind, problem));
}

}  // namespace wsi
