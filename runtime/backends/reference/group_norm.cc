// Group normalization (Wu and He, "Group Normalization", 2018): statistics over the
// positions of one image and the neighbouring channels of one group.
#include <algorithm>
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"

namespace wsi::reference {
namespace {

struct Groups {
  int64_t batch = 0;
  int64_t positions = 0;
  int64_t channels = 0;
  int64_t groups = 1;
  int64_t per_group() const { return channels / groups; }
  double count() const { return static_cast<double>(positions * per_group()); }
};

Groups ReadGroups(LaunchCheck& check, const Shape& x) {
  check.ChannelsLast(x, 2);
  if (!check.status().ok()) return {};
  Groups g{x[0], 1, x[-1]};
  for (int a = 1; a < x.rank() - 1; ++a) g.positions *= x[a];
  check.Require(check.HasAttribute("num_groups"), "lacks attribute num_groups");
  g.groups = check.Int("num_groups", 1, std::max<int64_t>(g.channels, 1), 1);
  check.Require(g.channels % g.groups == 0, "num_groups does not divide the channels");
  return g;
}

// Calls f(flat index, channel) for the elements of group `group` of image `n`.
template <typename F>
void ForEachOfGroup(const Groups& g, int64_t n, int64_t group, F f) {
  for (int64_t p = 0; p < g.positions; ++p) {
    for (int64_t c = group * g.per_group(); c < (group + 1) * g.per_group(); ++c) {
      f((n * g.positions + p) * g.channels + c, c);
    }
  }
}

struct Statistics {
  double mean = 0;
  double inv_std = 0;
};

Statistics ComputeStatistics(const Groups& g, int64_t n, int64_t group, const double* x,
                             double epsilon) {
  double sum = 0;
  ForEachOfGroup(g, n, group, [&](int64_t i, int64_t) { sum += x[i]; });
  const double mean = sum / g.count();
  double squares = 0;
  ForEachOfGroup(g, n, group,
                 [&](int64_t i, int64_t) { squares += (x[i] - mean) * (x[i] - mean); });
  return {mean, 1 / std::sqrt(squares / g.count() + epsilon)};
}

}  // namespace

KernelResult CompileGroupNormalization(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFF", "Fff"));
  const Groups g = ReadGroups(check, check.input(0));
  const double epsilon = check.Float("epsilon", 1e-5);
  check.PerChannel(1, 2, g.channels);
  check.OutputIs(0, check.input(0));
  check.OutputIs(1, Shape{g.batch, g.groups});
  check.OutputIs(2, Shape{g.batch, g.groups});
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([g, epsilon](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    const double* scale = arguments.input<double>(1);
    const double* bias = arguments.input<double>(2);
    double* y = arguments.output<double>(0);
    double* means = arguments.output<double>(1);
    double* inverses = arguments.output<double>(2);
    for (int64_t n = 0; n < g.batch; ++n) {
      for (int64_t group = 0; group < g.groups; ++group) {
        const Statistics s = ComputeStatistics(g, n, group, x, epsilon);
        if (means != nullptr) means[n * g.groups + group] = s.mean;
        if (inverses != nullptr) inverses[n * g.groups + group] = s.inv_std;
        ForEachOfGroup(g, n, group, [&](int64_t i, int64_t c) {
          y[i] = (x[i] - s.mean) * s.inv_std * scale[c] + bias[c];
        });
      }
    }
  });
}

// With d = dy * scale and averages over the group:
//   dx = inv_std * (d - average(d) - xhat * average(d * xhat))
KernelResult CompileGroupNormGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFF", "FFF"));
  const Groups g = ReadGroups(check, check.input(0));
  check.InputIs(1, check.input(0));
  check.PerChannel(2, 2, g.channels);
  check.InputIs(3, Shape{g.batch, g.groups});
  check.InputIs(4, Shape{g.batch, g.groups});
  check.OutputIs(0, check.input(0));
  check.OutputIs(1, Shape{g.channels});
  check.OutputIs(2, Shape{g.channels});
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([g](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* x = arguments.input<double>(1);
    const double* scale = arguments.input<double>(2);
    double* dx = arguments.output<double>(0);
    double* dscale = arguments.output<double>(1);
    double* dbias = arguments.output<double>(2);
    std::fill_n(dscale, g.channels, 0.0);
    std::fill_n(dbias, g.channels, 0.0);
    for (int64_t n = 0; n < g.batch; ++n) {
      for (int64_t group = 0; group < g.groups; ++group) {
        const double mean = arguments.input<double>(3)[n * g.groups + group];
        const double inv_std = arguments.input<double>(4)[n * g.groups + group];
        double sum = 0;
        double sum_xhat = 0;
        ForEachOfGroup(g, n, group, [&](int64_t i, int64_t c) {
          const double xhat = (x[i] - mean) * inv_std;
          dscale[c] += dy[i] * xhat;
          dbias[c] += dy[i];
          sum += dy[i] * scale[c];
          sum_xhat += dy[i] * scale[c] * xhat;
        });
        ForEachOfGroup(g, n, group, [&](int64_t i, int64_t c) {
          const double xhat = (x[i] - mean) * inv_std;
          dx[i] = inv_std * (dy[i] * scale[c] - sum / g.count() - xhat * sum_xhat / g.count());
        });
      }
    }
  });
}

}  // namespace wsi::reference
