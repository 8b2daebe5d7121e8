// Parts of a plan, picked at random.
#pragma once

#include <random>

#include "runtime/plan/plan.pb.h"

namespace wsi {

inline int Below(std::mt19937_64& random, int n) {
  return n <= 0 ? 0 : static_cast<int>(random() % static_cast<uint64_t>(n));
}
// Another number in [0, n) than `old`, or -1.
inline int Other(std::mt19937_64& random, int n, int old) {
  if (n < 2) return -1;
  const int other = Below(random, n - 1);
  return other + (other >= old ? 1 : 0);
}
inline plan::Program& AnyProgram(plan::Plan& p, std::mt19937_64& random) {
  return *p.mutable_programs(Below(random, p.programs_size()));
}
inline plan::Instruction& AnyInstruction(plan::Plan& p, std::mt19937_64& random) {
  plan::Program& program = AnyProgram(p, random);
  return *program.mutable_instructions(Below(random, program.instructions_size()));
}
// An instruction that `wanted` admits; null if none turns up.
template <typename F>
plan::Instruction* Find(plan::Plan& p, std::mt19937_64& random, F wanted) {
  for (int tries = 0; tries < 60; ++tries) {
    plan::Instruction& found = AnyInstruction(p, random);
    if (wanted(found)) return &found;
  }
  return nullptr;
}
inline plan::Buffer& AnyBuffer(plan::Plan& p, std::mt19937_64& random) {
  return *p.mutable_buffers(Below(random, p.buffers_size()));
}
inline plan::Buffer* AnyProgramBuffer(plan::Plan& p, std::mt19937_64& random) {
  for (int tries = 0; tries < 60; ++tries) {
    plan::Buffer& found = AnyBuffer(p, random);
    if (found.program() >= 0) return &found;
  }
  return nullptr;
}

}  // namespace wsi
