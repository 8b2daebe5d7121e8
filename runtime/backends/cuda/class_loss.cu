// Losses of class scores against class numbers. Scores are [N, C, d...], targets
// [N, d...]; a row is one position's C scores.
#include <string>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/lines.cuh"
#include "runtime/backends/cuda/totals.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

struct Classes {
  Rows rows;
  bool mean = true;
  bool ignores = false;
  int64_t ignored = 0;
  int place = 0;  // Of the fault that a target is no class.
  __host__ __device__ int64_t count() const { return rows.outer_count * rows.inner_count; }
};

// `target` and `weight`: the positions of these inputs.
Result<Classes> ReadClasses(const LaunchSpec& launch, LaunchCheck& check, const Shape& scores,
                            DType dtype, size_t target, Context& context) {
  check.Require(scores.rank() >= 2 && scores.ElementCount() > 0,
                "wants scores with a class axis that are not empty");
  WSI_RETURN_IF_ERROR(check.status());
  std::vector<int64_t> sizes(scores.begin(), scores.end());
  sizes.erase(sizes.begin() + 1);
  check.InputIs(target, Shape::Make(sizes).value());
  check.InputIs(target + 1, Shape{scores[1]});
  check.InputIs(target + 1, dtype);
  Classes c{.rows = RowsAlong(scores, 1)};
  const std::string_view reduction = check.String("reduction", "mean");
  check.Require(reduction == "mean" || reduction == "sum", "reduction is neither mean nor sum");
  c.mean = reduction == "mean";
  c.ignores = check.HasAttribute("ignore_index");
  c.ignored = check.Int("ignore_index", INT64_MIN, INT64_MAX, 0);
  WSI_RETURN_IF_ERROR(check.status());
  c.place = context.faults.Register(
      FaultText(launch, "a target is {}; classes are 0 to " + std::to_string(scores[1] - 1)));
  return c;
}

// Targets and their weights.
template <typename T>
struct Targets {
  Classes classes;
  const int64_t* target;
  const T* weight;  // Null: 1.
  FaultRecord* faults;

  // The row's class; -1 where it does not count.
  __device__ int64_t ClassOf(int64_t row) const {
    const int64_t c = target[row];
    if (classes.ignores && c == classes.ignored) return -1;
    if (c >= 0 && c < classes.rows.length) return c;
    Raise(faults, classes.place, c);
    return -1;
  }
  __device__ double WeightOf(int64_t c) const {
    return weight == nullptr ? 1.0 : static_cast<double>(weight[c]);
  }
};

template <typename T>
Targets<T> TargetsOf(const Classes& classes, const LaunchArguments& a, size_t target,
                     const Context& context) {
  return {classes, a.input<int64_t>(target), a.input<T>(target + 1),
          context.faults.device_record()};
}

// ln(sum(exp)) of each row, and the scores less it where asked for.
template <typename Threads, typename T>
__global__ void LogSumExps(Rows rows, const T* x, double* sums, T* log_prob) {
  const int64_t stride = rows.inner_count;
  for (int64_t r = Threads::row(); r < rows.outer_count * stride; r += Threads::rows()) {
    const int64_t start = StartOf(rows, r);
    T largest = -std::numeric_limits<T>::infinity();
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      const T v = x[start + j * stride];
      largest = v > largest ? v : largest;
    }
    largest = Threads::Largest(largest);
    double sum = 0;
    for (int64_t j = Threads::first(); j < rows.length; j += Threads::step()) {
      sum += exp(static_cast<double>(x[start + j * stride] - largest));
    }
    const double total = static_cast<double>(largest) + log(Threads::Sum(sum));
    for (int64_t j = Threads::first(); log_prob != nullptr && j < rows.length;
         j += Threads::step()) {
      const int64_t at = start + j * stride;
      log_prob[at] = static_cast<T>(static_cast<double>(x[at]) - total);
    }
    if (Threads::first() == 0) sums[r] = total;
  }
}

// Sums of -weight * log probability and of the weights. `sums`: null where x are
// logarithms of probabilities already.
template <typename T>
struct LossTerms {
  static constexpr int kTerms = 2;
  Targets<T> targets;
  const T* x;
  const double* sums;
  __device__ void Add(int64_t row, double (&totals)[2]) const {
    const int64_t c = targets.ClassOf(row);
    if (c < 0) return;
    const Rows& rows = targets.classes.rows;
    const double score = static_cast<double>(x[StartOf(rows, row) + c * rows.inner_count]);
    const double weight = targets.WeightOf(c);
    totals[0] -= weight * (sums == nullptr ? score : score - sums[row]);
    totals[1] += weight;
  }
};
template <typename T>
struct FinishLoss {
  bool mean;
  T* loss;
  __device__ void operator()(const double (&totals)[2]) const {
    *loss = static_cast<T>(mean ? totals[0] / totals[1] : totals[0]);
  }
};

template <typename T>
struct WeightTerms {
  static constexpr int kTerms = 1;
  Targets<T> targets;
  __device__ void Add(int64_t row, double (&totals)[1]) const {
    const int64_t c = targets.ClassOf(row);
    if (c >= 0) totals[0] += targets.WeightOf(c);
  }
};
struct KeepDivisor {
  bool mean;
  double* divisor;
  __device__ void operator()(const double (&totals)[1]) const { *divisor = mean ? totals[0] : 1.0; }
};

// log_prob: of SoftmaxCrossEntropyGrad; null: of NegativeLogLikelihoodGrad.
template <typename T>
__global__ void LossGrad(Targets<T> targets, const T* dloss, const T* log_prob,
                         const double* divisor, T* dx) {
  const Rows& rows = targets.classes.rows;
  const double slope = static_cast<double>(*dloss) / *divisor;
  const int64_t elements = targets.classes.count() * rows.length;
  for (int64_t i = FirstItem(); i < elements; i += ItemStride()) {
    const int64_t j = i / rows.inner_count % rows.length;
    const int64_t row =
        i / (rows.inner_count * rows.length) * rows.inner_count + i % rows.inner_count;
    const int64_t c = targets.ClassOf(row);
    double d = 0;
    if (c >= 0) {
      const double factor = slope * targets.WeightOf(c);
      const double hot = j == c ? 1 : 0;
      d = log_prob == nullptr ? -factor * hot
                              : factor * (static_cast<double>(exp(log_prob[i])) - hot);
    }
    dx[i] = static_cast<T>(d);
  }
}

// `softmax`: the scores are not logarithms of probabilities yet.
KernelResult CompileLoss(const LaunchSpec& launch, bool softmax, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(softmax ? check.Operands("FLf", "Ff") : check.Operands("FLf", "F"));
  const DType dtype = check.input_type(0);
  WSI_ASSIGN_OR_RETURN(const Classes c,
                       ReadClasses(launch, check, check.input(0), dtype, 1, context));
  check.OutputIs(0, Shape());
  check.OutputIs(0, dtype);
  check.OutputIs(1, check.input(0));
  check.OutputIs(1, dtype);
  WSI_RETURN_IF_ERROR(check.status());
  const ClassLossLayout layout = LayOutClassLoss(c.count(), softmax);
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout.end));
  return ForWide(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* x = a.input<T>(0);
      double* of_rows = softmax ? WorkspaceAt<double>(a, layout.rows) : nullptr;
      if (softmax) {
        WithThreads(c.rows, [&](auto threads, unsigned grid, unsigned block) {
          LogSumExps<decltype(threads), T>
              <<<grid, block, 0, context.stream>>>(c.rows, x, of_rows, a.output<T>(1));
        });
      }
      RunTotals(LossTerms<T>{TargetsOf<T>(c, a, 1, context), x, of_rows}, c.count(),
                FinishLoss<T>{c.mean, a.output<T>(0)}, WorkspaceAt<double>(a), context.stream);
      return LaunchStatus();
    });
  });
}

// `target`: that input's position; `softmax` as above, log_prob being the input before it.
KernelResult CompileLossGrad(const LaunchSpec& launch, bool softmax, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(softmax ? check.Operands("FFLf", "F") : check.Operands("FLf", "F"));
  const DType dtype = check.input_type(0);
  const size_t target = softmax ? 2 : 1;
  check.InputIs(0, Shape());
  WSI_ASSIGN_OR_RETURN(const Classes c,
                       ReadClasses(launch, check, check.output(0), dtype, target, context));
  check.OutputIs(0, dtype);
  if (softmax) {
    check.InputIs(1, check.output(0));
    check.InputIs(1, dtype);
  }
  WSI_RETURN_IF_ERROR(check.status());
  const ClassLossLayout layout = LayOutClassLossGrad(c.count());
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, layout.end));
  return ForWide(launch, dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const Targets<T> targets = TargetsOf<T>(c, a, target, context);
      auto* divisor = WorkspaceAt<double>(a, layout.rows);
      RunTotals(WeightTerms<T>{targets}, c.count(), KeepDivisor{c.mean, divisor},
                WorkspaceAt<double>(a), context.stream);
      LossGrad<T><<<GridFor(c.count() * c.rows.length), kThreads, 0, context.stream>>>(
          targets, a.input<T>(0), softmax ? a.input<T>(1) : nullptr, divisor, a.output<T>(0));
      return LaunchStatus();
    });
  });
}

}  // namespace

KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch, Context& context) {
  return CompileLoss(launch, true, context);
}
KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch, Context& context) {
  return CompileLoss(launch, false, context);
}
KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch, Context& context) {
  return CompileLossGrad(launch, true, context);
}
KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch, Context& context) {
  return CompileLossGrad(launch, false, context);
}

}  // namespace wsi::cuda
