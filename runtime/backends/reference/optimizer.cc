// Parameter updates as PyTorch's optimizers do them, and what prepares their gradients.
#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

// Inputs 1 to `tensors` - 1 have the parameter's shape, the others are scalars; outputs
// have the parameter's shape.
void CheckUpdate(LaunchCheck& check, size_t tensors, size_t inputs, size_t outputs) {
  for (size_t i = 1; i < tensors; ++i) check.InputIs(i, check.input(0));
  for (size_t i = tensors; i < inputs; ++i) check.InputIs(i, Shape());
  for (size_t i = 0; i < outputs; ++i) check.OutputIs(i, check.input(0));
}

// What gradients are multiplied by: input `i`, or 1.
double ScaleOf(const LaunchArguments& arguments, size_t i) {
  const double* scale = arguments.input<double>(i);
  return scale != nullptr ? *scale : 1;
}

// Whether input `i`, where it is there, says that a gradient is not finite: then outputs
// o are inputs kept[o], of `count` elements.
bool Skips(const LaunchArguments& arguments, size_t i, std::initializer_list<size_t> kept,
           int64_t count) {
  const double* finite = arguments.input<double>(i);
  if (finite == nullptr || *finite != 0) return false;
  size_t o = 0;
  for (const size_t k : kept) {
    std::copy_n(arguments.input<double>(k), count, arguments.output<double>(o++));
  }
  return true;
}

}  // namespace

KernelResult CompileSgdUpdate(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFff", "F"));
  CheckUpdate(check, 2, 5, 1);
  const double weight_decay = check.Float("weight_decay", 0);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel(
      [weight_decay, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
        if (Skips(arguments, 4, {0}, count)) return;
        const double* param = arguments.input<double>(0);
        const double* grad = arguments.input<double>(1);
        const double lr = *arguments.input<double>(2);
        const double scale = ScaleOf(arguments, 3);
        for (int64_t i = 0; i < count; ++i) {
          const double g = grad[i] * scale + weight_decay * param[i];
          arguments.output<double>(0)[i] = param[i] - lr * g;
        }
      });
}

KernelResult CompileMomentumUpdate(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFff", "FF"));
  CheckUpdate(check, 3, 6, 2);
  const double momentum = check.Float("momentum");
  const double weight_decay = check.Float("weight_decay", 0);
  const bool nesterov = check.Flag("nesterov");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([momentum, weight_decay, nesterov,
                     count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    if (Skips(arguments, 5, {0, 2}, count)) return;
    const double* param = arguments.input<double>(0);
    const double* grad = arguments.input<double>(1);
    const double* velocity = arguments.input<double>(2);
    const double lr = *arguments.input<double>(3);
    const double scale = ScaleOf(arguments, 4);
    for (int64_t i = 0; i < count; ++i) {
      const double g = grad[i] * scale + weight_decay * param[i];
      const double v = momentum * velocity[i] + g;
      arguments.output<double>(0)[i] = param[i] - lr * (nesterov ? g + momentum * v : v);
      arguments.output<double>(1)[i] = v;
    }
  });
}

// Kingma and Ba, 2015; decoupled decay of Loshchilov and Hutter, 2019.
KernelResult CompileAdamUpdate(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFFLff", "FFF"));
  CheckUpdate(check, 4, 8, 3);
  const double beta1 = check.Float("beta1");
  const double beta2 = check.Float("beta2");
  const double epsilon = check.Float("epsilon");
  const double weight_decay = check.Float("weight_decay", 0);
  const bool decoupled = check.Flag("decoupled");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([=, count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    if (Skips(arguments, 7, {0, 2, 3}, count)) return;
    const double* grad = arguments.input<double>(1);
    const double lr = *arguments.input<double>(4);
    const auto step = static_cast<double>(*arguments.input<int64_t>(5));
    const double scale = ScaleOf(arguments, 6);
    const double correction1 = 1 - std::pow(beta1, step);
    const double correction2 = 1 - std::pow(beta2, step);
    for (int64_t i = 0; i < count; ++i) {
      double param = arguments.input<double>(0)[i];
      double g = grad[i] * scale;
      if (decoupled) {
        param *= 1 - lr * weight_decay;
      } else {
        g += weight_decay * param;
      }
      const double m = beta1 * arguments.input<double>(2)[i] + (1 - beta1) * g;
      const double v = beta2 * arguments.input<double>(3)[i] + (1 - beta2) * g * g;
      const double denominator = std::sqrt(v / correction2) + epsilon;
      arguments.output<double>(0)[i] = param - lr * (m / correction1) / denominator;
      arguments.output<double>(1)[i] = m;
      arguments.output<double>(2)[i] = v;
    }
  });
}

KernelResult CompileSquaredNorm(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  check.OutputIs(0, Shape());
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
    *arguments.output<double>(0) = sum;
  });
}

KernelResult CompileAllFinite(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("Ff", "F"));
  check.InputIs(1, Shape());
  check.OutputIs(0, Shape());
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    const double* before = arguments.input<double>(1);
    const bool finite = std::all_of(x, x + count, [](double v) { return std::isfinite(v); });
    *arguments.output<double>(0) = !finite ? 0 : before != nullptr ? *before : 1;
  });
}

KernelResult CompileClipScale(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("Ff", "F"));
  check.InputIs(0, Shape());
  check.InputIs(1, Shape());
  check.OutputIs(0, Shape());
  const double max_norm = check.Float("max_norm");
  const double scale0 = check.Float("scale0", 1);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([max_norm, scale0](const LaunchArguments& arguments) {
    const double* loss_scale = arguments.input<double>(1);
    const double scale = loss_scale != nullptr ? scale0 / *loss_scale : scale0;
    const double ratio = max_norm / (scale * std::sqrt(*arguments.input<double>(0)) + 1e-6);
    *arguments.output<double>(0) = scale * (ratio > 1 ? 1 : ratio);
  });
}

KernelResult CompileAccumulateGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  CheckUpdate(check, 2, 2, 1);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([count = check.input(0).ElementCount()](const LaunchArguments& arguments) {
    for (int64_t i = 0; i < count; ++i) {
      arguments.output<double>(0)[i] =
          arguments.input<double>(0)[i] + arguments.input<double>(1)[i];
    }
  });
}

}  // namespace wsi::reference
