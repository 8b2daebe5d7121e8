// The cost model: seconds of one launch and of one copy.
//
//   launch = launch_seconds + max(flops / flop rate, bytes / memory rate)   (a roofline)
//   copy   = copy_seconds + bytes / link rate
#pragma once

#include <string_view>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// `matrix`, `flops` and `bytes` as in plan::Launch; `type` is that of its first operand:
// its first input, or its first output where it reads nothing. The operator's own rates
// count before those of the device. REQUIRES: CheckRates(rates) passes.
double LaunchSeconds(const plan::Rates& rates, std::string_view op, bool matrix, DType type,
                     double flops, double bytes);
// REQUIRES: the plan has passed VerifyPlan.
double LaunchSeconds(const plan::Rates& rates, const plan::Plan& plan, const plan::Launch& launch);

// Whether the type of the launch's first operand is f16 or bf16.
bool IsHalfLaunch(const plan::Plan& plan, const plan::Launch& launch);

// A copy on a lane between tiers. REQUIRES: `lane` is in, out, read or write, and
// CheckRates(rates) passes.
double CopySeconds(const plan::Rates& rates, plan::Lane lane, Bytes bytes);

// The rate that CopySeconds divides by.
double LaneBytesPerSecond(const plan::Rates& rates, plan::Lane lane);

}  // namespace wsi
