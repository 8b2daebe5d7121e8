// Losses of class scores against class numbers. Scores are [N, C, d...], targets
// [N, d...]; a row is one position's C scores.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/log_softmax.h"

namespace wsi::reference {
namespace {

struct Classification {
  Rows rows;
  bool mean = true;
  std::optional<int64_t> ignored;
  bool Counts(int64_t target) const { return !ignored || target != *ignored; }
  double Weight(const double* weight, int64_t target) const {
    return weight != nullptr ? weight[target] : 1;
  }
};

// `target` and `weight`: the positions of these inputs.
Classification ReadClassification(LaunchCheck& check, const Shape& scores, size_t target,
                                  size_t weight) {
  check.Require(scores.rank() >= 2, "scores have no class axis");
  if (!check.status().ok()) return {};
  std::vector<int64_t> sizes(scores.begin(), scores.end());
  sizes.erase(sizes.begin() + 1);
  check.InputIs(target, Shape::Make(sizes).value());
  check.InputIs(weight, Shape{scores[1]});
  Classification c;
  c.rows = RowsAlong(scores, 1);
  const std::string_view reduction = check.String("reduction", "mean");
  check.Require(reduction == "mean" || reduction == "sum", "reduction is neither mean nor sum");
  c.mean = reduction == "mean";
  using Limits = std::numeric_limits<int64_t>;
  if (check.HasAttribute("ignore_index"))
    c.ignored = check.Int("ignore_index", Limits::min(), Limits::max(), 0);
  return c;
}

// What the sum is divided by, or the target that is no class.
Result<double> Divisor(const Classification& c, const int64_t* target, const double* weight) {
  double total = 0;
  for (int64_t row = 0; row < c.rows.outer_count * c.rows.inner_count; ++row) {
    if (!c.Counts(target[row])) continue;
    if (target[row] < 0 || target[row] >= c.rows.length) {
      return InvalidInput(
          fmt::format("target {} is {}, there are {} classes", row, target[row], c.rows.length));
    }
    total += c.Weight(weight, target[row]);
  }
  return c.mean ? total : 1.0;
}

}  // namespace

KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLf", "Ff"));
  const Classification c = ReadClassification(check, check.input(0), 1, 2);
  check.OutputIs(0, Shape());
  check.OutputIs(1, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) -> Status {
    const double* x = arguments.input<double>(0);
    const int64_t* target = arguments.input<int64_t>(1);
    const double* weight = arguments.input<double>(2);
    double* log_prob = arguments.output<double>(1);
    WSI_ASSIGN_OR_RETURN(const double divisor, Divisor(c, target, weight));
    double sum = 0;
    ForEachRow(c.rows, [&](int64_t row, int64_t first) {
      const double total = LogSumExp(c.rows, x, first);
      if (c.Counts(target[row])) {
        const int64_t at = first + target[row] * c.rows.inner_count;
        sum -= c.Weight(weight, target[row]) * (x[at] - total);
      }
      for (int64_t j = 0; log_prob != nullptr && j < c.rows.length; ++j) {
        const int64_t at = first + j * c.rows.inner_count;
        log_prob[at] = x[at] - total;
      }
    });
    *arguments.output<double>(0) = sum / divisor;
    return {};
  });
}

KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFLf", "F"));
  check.InputIs(0, Shape());
  const Classification c = ReadClassification(check, check.input(1), 2, 3);
  check.OutputIs(0, check.input(1));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) -> Status {
    const double* log_prob = arguments.input<double>(1);
    const int64_t* target = arguments.input<int64_t>(2);
    const double* weight = arguments.input<double>(3);
    double* dx = arguments.output<double>(0);
    WSI_ASSIGN_OR_RETURN(const double divisor, Divisor(c, target, weight));
    const double dloss = *arguments.input<double>(0) / divisor;
    ForEachRow(c.rows, [&](int64_t row, int64_t first) {
      const bool counts = c.Counts(target[row]);
      const double factor = counts ? dloss * c.Weight(weight, target[row]) : 0;
      for (int64_t j = 0; j < c.rows.length; ++j) {
        const int64_t at = first + j * c.rows.inner_count;
        const double hot = j == target[row] ? 1 : 0;
        dx[at] = counts ? factor * (std::exp(log_prob[at]) - hot) : 0;
      }
    });
    return {};
  });
}

KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLf", "F"));
  const Classification c = ReadClassification(check, check.input(0), 1, 2);
  check.OutputIs(0, Shape());
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) -> Status {
    const double* log_prob = arguments.input<double>(0);
    const int64_t* target = arguments.input<int64_t>(1);
    const double* weight = arguments.input<double>(2);
    WSI_ASSIGN_OR_RETURN(const double divisor, Divisor(c, target, weight));
    double sum = 0;
    ForEachRow(c.rows, [&](int64_t row, int64_t first) {
      if (!c.Counts(target[row])) return;
      sum -= c.Weight(weight, target[row]) * log_prob[first + target[row] * c.rows.inner_count];
    });
    *arguments.output<double>(0) = sum / divisor;
    return {};
  });
}

KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FLf", "F"));
  check.InputIs(0, Shape());
  const Classification c = ReadClassification(check, check.output(0), 1, 2);
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([c](const LaunchArguments& arguments) -> Status {
    const int64_t* target = arguments.input<int64_t>(1);
    const double* weight = arguments.input<double>(2);
    double* dx = arguments.output<double>(0);
    WSI_ASSIGN_OR_RETURN(const double divisor, Divisor(c, target, weight));
    const double dloss = *arguments.input<double>(0) / divisor;
    ForEachRow(c.rows, [&](int64_t row, int64_t first) {
      for (int64_t j = 0; j < c.rows.length; ++j) {
        const bool hot = c.Counts(target[row]) && j == target[row];
        dx[first + j * c.rows.inner_count] = hot ? -dloss * c.Weight(weight, j) : 0;
      }
    });
    return {};
  });
}

}  // namespace wsi::reference
