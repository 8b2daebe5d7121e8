// Losses that compare two tensors of one shape, averaged over all elements.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/totals.cuh"

namespace wsi::cuda {
namespace {

struct SquaredError {
  template <typename T>
  __device__ static T Loss(T x, T target) {
    return (x - target) * (x - target);
  }
  template <typename T>
  __device__ static T Slope(T x, T target) {
    return 2 * (x - target);
  }
};

// -target * ln(sigmoid(z)) - (1 - target) * ln(1 - sigmoid(z)), without overflow.
struct CrossEntropy {
  template <typename T>
  __device__ static T Loss(T z, T target) {
    return (z > 0 ? z : T{0}) - z * target + log1p(exp(-fabs(z)));
  }
  template <typename T>
  __device__ static T Slope(T z, T target) {
    const T e = exp(-fabs(z));
    return (z >= 0 ? 1 / (1 + e) : e / (1 + e)) - target;
  }
};

template <typename Formula, typename T>
struct LossTerms {
  static constexpr int kTerms = 1;
  const T* x;
  const T* target;
  __device__ void Add(int64_t i, double (&sums)[1]) const {
    sums[0] += static_cast<double>(Formula::Loss(x[i], target[i]));
  }
};
template <typename T>
struct FinishLoss {
  double count;
  T* loss;
  __device__ void operator()(const double (&sums)[1]) const {
    *loss = static_cast<T>(sums[0] / count);
  }
};

template <typename Formula, typename T>
__global__ void SlopeKernel(const T* dloss, const T* x, const T* target, int64_t count, T* dx) {
  const T factor = static_cast<T>(static_cast<double>(*dloss) / static_cast<double>(count));
  for (int64_t i = FirstItem(); i < count; i += ItemStride()) {
    dx[i] = factor * Formula::Slope(x[i], target[i]);
  }
}

// make(Formula()) for the launch's operator.
template <typename F>
KernelResult WithFormula(const LaunchSpec& launch, const F& make) {
  return launch.op.starts_with("MeanSquaredError") ? make(SquaredError()) : make(CrossEntropy());
}

}  // namespace

KernelResult CompileElementLoss(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  check.InputIs(1, check.input(0));
  check.InputIs(1, check.input_type(0));
  check.OutputIs(0, Shape());
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, TotalsBytes(1, count)));
  return ForWide(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return WithFormula(launch, [&]<typename Formula>(Formula) {
      return MakeKernel([=, &context](const LaunchArguments& a) {
        RunTotals(LossTerms<Formula, T>{a.input<T>(0), a.input<T>(1)}, count,
                  FinishLoss<T>{static_cast<double>(count), a.output<T>(0)}, WorkspaceAt<double>(a),
                  context.stream);
        return LaunchStatus();
      });
    });
  });
}

KernelResult CompileElementLossGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFF", "F"));
  check.InputIs(0, Shape());
  check.InputIs(2, check.input(1));
  check.OutputIs(0, check.input(1));
  for (size_t i = 1; i <= 2; ++i) check.InputIs(i, check.input_type(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(1).ElementCount();
  return ForWide(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return WithFormula(launch, [&]<typename Formula>(Formula) {
      return MakeKernel([=, &context](const LaunchArguments& a) {
        SlopeKernel<Formula, T><<<GridFor(count), kThreads, 0, context.stream>>>(
            a.input<T>(0), a.input<T>(1), a.input<T>(2), count, a.output<T>(0));
        return LaunchStatus();
      });
    });
  });
}

}  // namespace wsi::cuda
