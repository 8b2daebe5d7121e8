// Cross-entropy and negative log-likelihood over class numbers.
#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <optional>

#include "runtime/backends/cpu/loss.h"

namespace wsi::cpu {
namespace {

// Rows of `classes` scores, `stride` elements apart: [N, classes, d...] has N * d rows.
struct Rows {
  int64_t count = 0;
  int64_t classes = 0;
  int64_t stride = 1;
  bool mean = true;
  std::optional<int64_t> ignore;
  Chunks chunks;
  std::string where;  // For messages.

  int64_t Start(int64_t row) const { return row / stride * stride * classes + row % stride; }
  bool Counts(int64_t target) const { return !ignore.has_value() || target != *ignore; }
};

// `scores` is [N, C, d...]; checks target `t` [N, d...] and weight `t + 1` [C].
Result<Rows> MakeRows(const LaunchSpec& launch, const Shape& scores, size_t t) {
  if (scores.rank() < 2 || scores.ElementCount() == 0) {
    return CompileError(launch, "wants non-empty scores with a class axis");
  }
  std::vector<int64_t> target_sizes = {scores[0]};
  for (int axis = 2; axis < scores.rank(); ++axis) target_sizes.push_back(scores[axis]);
  WSI_ASSIGN_OR_RETURN(const Shape target, Shape::Make(target_sizes));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, t, DType::kI64, target));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, t + 1, DType::kF32, Shape{scores[1]}));
  const std::string reduction = launch.attributes.String("reduction", "mean");
  if (reduction != "mean" && reduction != "sum") {
    return CompileError(launch, "reduction '" + reduction + "' is neither mean nor sum");
  }
  Rows rows;
  rows.count = target.ElementCount();
  rows.classes = scores[1];
  rows.stride = rows.count / scores[0];
  rows.mean = reduction == "mean";
  if (launch.attributes.Has("ignore_index")) {
    rows.ignore = launch.attributes.Int("ignore_index", 0);
  }
  rows.chunks = ChunksOf(rows.count, rows.classes * 8, kGrain);
  rows.where = fmt::format("{} '{}'", launch.op, launch.node);
  return rows;
}

Status ExpectScalar(const LaunchSpec& launch, const OperandSpec& operand) {
  if (operand.dtype == DType::kF32 && operand.shape.ElementCount() == 1) return {};
  return CompileError(launch, "the loss and its gradient are one f32");
}

// The first target outside [0, classes) that does not say "ignore", as an error.
Status CheckTargets(const Rows& rows, const int64_t* target) {
  for (int64_t r = 0; r < rows.count; ++r) {
    if (rows.Counts(target[r]) && (target[r] < 0 || target[r] >= rows.classes)) {
      return InvalidInput(fmt::format("{}: target {} is {}; classes are 0 to {}", rows.where, r,
                                      target[r], rows.classes - 1));
    }
  }
  return {};
}

double WeightOf(const float* weight, int64_t target) {
  return weight == nullptr ? 1.0 : static_cast<double>(weight[target]);
}

// The sum of the weights of the rows that count, if the loss is a mean, or 1.
double Divisor(const Rows& rows, const int64_t* target, const float* weight) {
  if (!rows.mean) return 1.0;
  double total = 0;
  for (int64_t r = 0; r < rows.count; ++r) {
    if (rows.Counts(target[r])) total += WeightOf(weight, target[r]);
  }
  return total;
}

// log of the sum of exponentials of a row.
double LogSumExp(const float* x, const Rows& rows) {
  double highest = static_cast<double>(x[0]);
  for (int64_t c = 1; c < rows.classes; ++c) {
    const double v = static_cast<double>(x[c * rows.stride]);
    highest = v > highest ? v : highest;
  }
  double total = 0;
  for (int64_t c = 0; c < rows.classes; ++c) {
    total += std::exp(static_cast<double>(x[c * rows.stride]) - highest);
  }
  return highest + std::log(total);
}

// Writes sum over the rows of -weight * log_likelihood(row, target), divided by
// Divisor, into `loss`.
template <typename F>
void ReduceRows(Context& context, const Rows& rows, const int64_t* target, const float* weight,
                const F& log_likelihood, float* loss) {
  double* partial = context.scratch.shared<double>();
  ForChunks(context.pool, rows.chunks, [&](int64_t begin, int64_t end, int64_t chunk, int) {
    double total = 0;
    for (int64_t r = begin; r < end; ++r) {
      const bool counts = rows.Counts(target[r]);
      const double value = log_likelihood(r, counts ? target[r] : 0);
      if (counts) total -= value * WeightOf(weight, target[r]);
    }
    partial[chunk] = total;
  });
  double total = 0;
  for (int64_t c = 0; c < rows.chunks.count(); ++c) total += partial[c];
  *loss = static_cast<float>(total / Divisor(rows, target, weight));
}

}  // namespace

// Inputs: logits, target, [weight]; outputs: loss, [log_prob].
KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 2));
  const Shape& scores = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectScalar(launch, launch.outputs[0]));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kF32, scores));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch, scores, 1));
  WSI_RETURN_IF_ERROR(context.scratch.Require(rows.chunks.count() * 8, 0));
  return MakeKernel([rows, &context](const LaunchArguments& a) -> Status {
    const int64_t* target = a.input<int64_t>(1);
    WSI_RETURN_IF_ERROR(CheckTargets(rows, target));
    const auto log_likelihood = [&](int64_t r, int64_t t) {
      const float* x = a.input<float>(0) + rows.Start(r);
      const double shift = LogSumExp(x, rows);
      if (float* out = a.output<float>(1)) {
        out += rows.Start(r);
        for (int64_t c = 0; c < rows.classes; ++c) {
          const int64_t at = c * rows.stride;
          out[at] = static_cast<float>(static_cast<double>(x[at]) - shift);
        }
      }
      return static_cast<double>(x[t * rows.stride]) - shift;
    };
    ReduceRows(context, rows, target, a.input<float>(2), log_likelihood, a.output<float>(0));
    return {};
  });
}

// Inputs: dloss, log_prob, target, [weight].
// dlogits = dloss * weight / divisor * (exp(log_prob) - onehot(target)).
KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 4, 1, 1));
  const Shape& scores = launch.inputs[1].shape;
  WSI_RETURN_IF_ERROR(ExpectScalar(launch, launch.inputs[0]));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, scores));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch, scores, 2));
  return MakeKernel([rows, &context](const LaunchArguments& a) -> Status {
    const int64_t* target = a.input<int64_t>(2);
    const float* weight = a.input<float>(3);
    WSI_RETURN_IF_ERROR(CheckTargets(rows, target));
    const double scale = static_cast<double>(*a.input<float>(0)) / Divisor(rows, target, weight);
    ForChunks(context.pool, rows.chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        const float* log_prob = a.input<float>(1) + rows.Start(r);
        float* dx = a.output<float>(0) + rows.Start(r);
        const bool counts = rows.Counts(target[r]);
        const double factor = counts ? scale * WeightOf(weight, target[r]) : 0.0;
        for (int64_t c = 0; c < rows.classes; ++c) {
          const double p = std::exp(static_cast<double>(log_prob[c * rows.stride]));
          const double hit = c == target[r] ? 1.0 : 0.0;
          dx[c * rows.stride] = counts ? static_cast<float>(factor * (p - hit)) : 0.0F;
        }
      }
    });
    return {};
  });
}

// Inputs: log_prob, target, [weight].
KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectScalar(launch, launch.outputs[0]));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch, launch.inputs[0].shape, 1));
  WSI_RETURN_IF_ERROR(context.scratch.Require(rows.chunks.count() * 8, 0));
  return MakeKernel([rows, &context](const LaunchArguments& a) -> Status {
    const int64_t* target = a.input<int64_t>(1);
    WSI_RETURN_IF_ERROR(CheckTargets(rows, target));
    const auto log_likelihood = [&](int64_t r, int64_t t) {
      return static_cast<double>(a.input<float>(0)[rows.Start(r) + t * rows.stride]);
    };
    ReduceRows(context, rows, target, a.input<float>(2), log_likelihood, a.output<float>(0));
    return {};
  });
}

// Inputs: dloss, target, [weight].
KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 1));
  WSI_ASSIGN_OR_RETURN(const Shape scores, Shape::Make(launch.attributes.Ints("input_shape")));
  WSI_RETURN_IF_ERROR(ExpectScalar(launch, launch.inputs[0]));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, scores));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch, scores, 1));
  return MakeKernel([rows, &context](const LaunchArguments& a) -> Status {
    const int64_t* target = a.input<int64_t>(1);
    const float* weight = a.input<float>(2);
    WSI_RETURN_IF_ERROR(CheckTargets(rows, target));
    const double scale = static_cast<double>(*a.input<float>(0)) / Divisor(rows, target, weight);
    ForChunks(context.pool, rows.chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        float* dx = a.output<float>(0) + rows.Start(r);
        for (int64_t c = 0; c < rows.classes; ++c) dx[c * rows.stride] = 0.0F;
        if (!rows.Counts(target[r])) continue;
        dx[target[r] * rows.stride] = static_cast<float>(-scale * WeightOf(weight, target[r]));
      }
    });
    return {};
  });
}

}  // namespace wsi::cpu
