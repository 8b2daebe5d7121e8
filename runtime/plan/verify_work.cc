// The numbers that predicted times are computed from.
#include <cmath>

#include "runtime/plan/verify_parts.h"

namespace wsi {
namespace {

bool IsAmount(double number) { return std::isfinite(number) && number >= 0; }

bool AreAmounts(const plan::Rates& r) {
  for (const double number : {r.matrix_flops_fp32(), r.matrix_flops_half(), r.vector_flops(),
                              r.memory_bytes(), r.in_bytes(), r.out_bytes(), r.read_bytes(),
                              r.write_bytes(), r.launch_seconds(), r.copy_seconds()}) {
    if (!IsAmount(number)) return false;
  }
  for (const auto& [op, rate] : r.operators()) {
    if (!IsAmount(rate.flops_fp32()) || !IsAmount(rate.flops_half()) ||
        !IsAmount(rate.memory_bytes()) || !IsAmount(rate.vector_flops())) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status VerifyWork(const plan::Plan& plan) {
  if (!AreAmounts(plan.rates())) return InvalidInput("rates: a number is negative or not finite");
  for (const plan::Program& program : plan.programs()) {
    for (int i = 0; i < program.instructions_size(); ++i) {
      const plan::Launch& launch = program.instructions(i).launch();
      if (IsAmount(launch.flops()) && IsAmount(launch.bytes())) continue;
      return InstructionError(program, i, "flops or bytes are negative or not finite");
    }
  }
  return {};
}

}  // namespace wsi
