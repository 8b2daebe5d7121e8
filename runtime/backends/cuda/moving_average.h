// Moving averages of statistics, one by one and many in a launch.
#pragma once

#include "runtime/backends/cuda/compile.h"

namespace wsi::cuda {

KernelResult CompileMovingAverage(const LaunchSpec& launch, Context& context);
KernelResult CompileJointAverages(JointLaunches all, Context& context);

}  // namespace wsi::cuda
