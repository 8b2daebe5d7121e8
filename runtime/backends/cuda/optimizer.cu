// Parameter updates as PyTorch's optimizers do them, and what prepares their gradients.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/totals.cuh"
#include "runtime/backends/cuda/update_rules.cuh"

namespace wsi::cuda {
namespace {

// What all updates have.
template <typename G>
struct Update {
  Updated<G> of;
  const float* lr;
  const int64_t* step;
  const float* scale;   // Null: 1.
  const float* finite;  // 0: a gradient is not finite, all stays as it was. Null: they are.
};

template <typename Rule, typename G>
__global__ void UpdateKernel(Rule rule, Update<G> u) {
  const bool skip = u.finite != nullptr && *u.finite == 0;
  const double step = u.step != nullptr ? static_cast<double>(*u.step) : 0;
  const auto prepared = rule.Prepare(static_cast<double>(*u.lr), step);
  const float scale = u.scale != nullptr ? *u.scale : 1;
  const int64_t wide_end = u.of.wide ? u.of.count / 4 * 4 : 0;
  for (int64_t i = 4 * FirstItem(); i < wide_end; i += 4 * ItemStride()) {
    UpdateElements<Rule, G, 4>(u.of, prepared, scale, skip, i);
  }
  for (int64_t i = wide_end + FirstItem(); i < u.of.count; i += ItemStride()) {
    UpdateElements<Rule, G, 1>(u.of, prepared, scale, skip, i);
  }
}

// Inputs: param, grad, states, lr, [step where it is Adam's], [scale], [finite].
template <typename Rule>
KernelResult CompileRule(const LaunchSpec& launch, LaunchCheck& check, const Rule& rule,
                         Context& context) {
  constexpr int kStates = Rule::kStates;
  constexpr size_t kRate = 2 + kStates;
  constexpr size_t kScale = kRate + (kStates == 2 ? 2 : 1);
  for (size_t i = 1; i < kRate; ++i) check.InputIs(i, check.input(0));
  for (size_t i = kRate; i <= kScale + 1; ++i) check.InputIs(i, Shape());
  for (size_t i = 0; i + 2 <= kRate; ++i) check.OutputIs(i, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  return ForStorage(launch, check.input_type(1), [&]<typename G>(std::type_identity<G>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      Update<G> u{};
      u.of = Updated<G>::Of(count, kStates, a);
      u.lr = a.input<float>(kRate);
      u.step = kStates == 2 ? a.input<int64_t>(kRate + 1) : nullptr;
      u.scale = a.input<float>(kScale);
      u.finite = a.input<float>(kScale + 1);
      UpdateKernel<<<GridFor(u.of.wide ? CeilDiv(count, 4) : count), kThreads, 0, context.stream>>>(
          rule, u);
      return LaunchStatus();
    });
  });
}

// Counts what is not finite.
template <typename T>
struct OverflowTerms {
  static constexpr int kTerms = 1;
  const T* x;
  __device__ void Add(int64_t i, double (&sums)[1]) const {
    sums[0] += isfinite(Load(x[i])) ? 0.0 : 1.0;
  }
};
template <typename T>
struct FinishFinite {
  const T* before;
  T* finite;
  __device__ void operator()(const double (&sums)[1]) const {
    *finite = sums[0] > 0 ? T{0} : before != nullptr ? *before : T{1};
  }
};

template <typename T>
struct SquareTerms {
  static constexpr int kTerms = 1;
  const T* x;
  __device__ void Add(int64_t i, double (&sums)[1]) const {
    const double v = static_cast<double>(Load(x[i]));
    sums[0] += v * v;
  }
};
template <typename T>
struct FinishSquares {
  T* sum;
  __device__ void operator()(const double (&sums)[1]) const { *sum = static_cast<T>(sums[0]); }
};

// A flag or a sum is of at least single precision.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
DType WideType(DType dtype) { return dtype == DType::kF64 ? dtype : DType::kF32; }

template <typename T>
__global__ void ClipScaleKernel(const T* squares, const T* loss_scale, double max_norm,
                                double scale0, T* y) {
  const double scale = loss_scale != nullptr ? scale0 / static_cast<double>(*loss_scale) : scale0;
  const double ratio = max_norm / (scale * sqrt(static_cast<double>(*squares)) + 1e-6);
  *y = static_cast<T>(scale * (ratio > 1 ? 1 : ratio));
}

}  // namespace

KernelResult CompileUpdate(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  if (launch.op == "SgdUpdate") {
    WSI_RETURN_IF_ERROR(check.Operands("SFSss", "S"));
    return CompileRule(launch, check, ReadSgd(check), context);
  }
  if (launch.op == "MomentumUpdate") {
    WSI_RETURN_IF_ERROR(check.Operands("SFSSss", "SS"));
    return CompileRule(launch, check, ReadMomentum(check), context);
  }
  WSI_RETURN_IF_ERROR(check.Operands("SFSSSLss", "SSS"));
  return CompileRule(launch, check, ReadAdam(check), context);
}

KernelResult CompileAllFinite(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("Ff", "F"));
  const DType dtype = check.input_type(0);
  check.InputIs(1, Shape());
  check.InputIs(1, WideType(dtype));
  check.OutputIs(0, Shape());
  check.OutputIs(0, WideType(dtype));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, TotalsBytes(1, count)));
  return ForFloat(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      RunTotals(OverflowTerms<T>{a.input<T>(0)}, count,
                FinishFinite<Wide<T>>{a.input<Wide<T>>(1), a.output<Wide<T>>(0)},
                WorkspaceAt<double>(a), context.stream);
      return LaunchStatus();
    });
  });
}

KernelResult CompileSquaredNorm(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const DType dtype = check.input_type(0);
  check.OutputIs(0, Shape());
  check.OutputIs(0, WideType(dtype));
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, TotalsBytes(1, count)));
  return ForFloat(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      RunTotals(SquareTerms<T>{a.input<T>(0)}, count, FinishSquares<Wide<T>>{a.output<Wide<T>>(0)},
                WorkspaceAt<double>(a), context.stream);
      return LaunchStatus();
    });
  });
}

// s * min(1, max_norm / (s * sqrt(sumsq) + 1e-6)), s = scale0 / loss_scale, as PyTorch's
// clip_grad_norm_ does for gradients that are still to be multiplied by s.
KernelResult CompileClipScale(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("Ff", "F"));
  check.InputIs(0, Shape());
  check.InputIs(1, Shape());
  check.InputIs(1, check.input_type(0));
  check.OutputIs(0, Shape());
  check.OutputIs(0, check.input_type(0));
  const double max_norm = check.Float("max_norm");
  const double scale0 = check.Float("scale0", 1);
  WSI_RETURN_IF_ERROR(check.status());
  return ForWide(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      ClipScaleKernel<T><<<1, 1, 0, context.stream>>>(a.input<T>(0), a.input<T>(1), max_norm,
                                                      scale0, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
