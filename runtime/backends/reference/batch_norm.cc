// Batch normalization over all axes but the last, which holds the channels.
//   xhat = (x - mean) / sqrt(var + epsilon),   m = positions per channel
// as in Ioffe and Szegedy, "Batch Normalization", 2015.
#include <algorithm>
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/storage.h"
#include "runtime/base/band.h"

namespace wsi::reference {
namespace {

struct Batch {
  int64_t positions = 0;
  int64_t channels = 0;
  double epsilon = 0;
  bool relu = false;
  DType stored = DType::kF64;  // What activations are rounded to.
};

Batch ReadBatch(LaunchCheck& check, const LaunchSpec& launch, bool with_epsilon) {
  const Shape& x = check.input(0);
  check.ChannelsLast(x, 2);
  if (!check.status().ok()) return {};
  Batch batch;
  batch.channels = x[-1];
  batch.positions = batch.channels == 0 ? 0 : x.ElementCount() / batch.channels;
  if (with_epsilon) batch.epsilon = check.Float("epsilon");
  batch.relu = check.Flag("relu");
  batch.stored = StoredType(launch);
  return batch;
}

// Calls f(flat index, channel).
template <typename F>
void ForEachElement(const Batch& batch, F f) {
  for (int64_t p = 0; p < batch.positions; ++p) {
    for (int64_t c = 0; c < batch.channels; ++c) f(p * batch.channels + c, c);
  }
}

double InverseDeviation(const double* var, int64_t c, const Batch& batch) {
  return 1 / std::sqrt(var[c] + batch.epsilon);
}

// Operands of the forward pass.
struct Forward {
  const double* x = nullptr;
  const double* scale = nullptr;
  const double* bias = nullptr;
  const double* mean = nullptr;
  const double* var = nullptr;
};

double Normalized(double x, double mean, double scale, double inverse, double bias) {
  return (x - mean) * scale * inverse + bias;
}

// The gradient in front of the fused ReLU, whose result is y.
double BehindRelu(const Batch& batch, double dy, const double* y, int64_t i) {
  return !batch.relu || y[i] > 0 ? dy : 0;
}

// The same; where y is null it is made again from `f` and rounded as it was when stored.
double BehindRelu(const Batch& batch, double dy, const double* y, const Forward& f, int64_t i,
                  int64_t c) {
  if (!batch.relu || y != nullptr) return BehindRelu(batch, dy, y, i);
  WSI_CHECK(f.x != nullptr && f.scale != nullptr && f.bias != nullptr && f.mean != nullptr &&
            f.var != nullptr);
  const double result =
      Normalized(f.x[i], f.mean[c], f.scale[c], InverseDeviation(f.var, c, batch), f.bias[c]);
  return Rounded(batch.stored, result) > 0 ? dy : 0;
}

}  // namespace

KernelResult CompileBatchNormStats(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "FF"));
  const Batch batch = ReadBatch(check, launch, false);
  check.OutputIs(0, Shape{batch.channels});
  check.OutputIs(1, Shape{batch.channels});
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([batch](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* mean = arguments.output<double>(0);
    double* var = arguments.output<double>(1);
    const auto m = static_cast<double>(batch.positions);
    std::fill_n(mean, batch.channels, 0.0);
    std::fill_n(var, batch.channels, 0.0);
    ForEachElement(batch, [&](int64_t i, int64_t c) { mean[c] += x[i]; });
    for (int64_t c = 0; c < batch.channels; ++c) mean[c] /= m;
    ForEachElement(batch,
                   [&](int64_t i, int64_t c) { var[c] += (x[i] - mean[c]) * (x[i] - mean[c]); });
    for (int64_t c = 0; c < batch.channels; ++c) var[c] /= m;
  });
}

KernelResult CompileBatchNormApply(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFFf", "F"));
  const Batch batch = ReadBatch(check, launch, true);
  check.PerChannel(1, 4, batch.channels);
  check.InputIs(5, check.input(0));
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([batch](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    const double* scale = arguments.input<double>(1);
    const double* bias = arguments.input<double>(2);
    const double* mean = arguments.input<double>(3);
    const double* var = arguments.input<double>(4);
    const double* residual = arguments.input<double>(5);
    double* y = arguments.output<double>(0);
    ForEachElement(batch, [&](int64_t i, int64_t c) {
      double v = Normalized(x[i], mean[c], scale[c], InverseDeviation(var, c, batch), bias[c]);
      if (residual != nullptr) v += residual[i];
      y[i] = batch.relu && v < 0 ? 0 : v;
    });
  });
}

KernelResult CompileBatchNormGradStats(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFffff", "FFf"));
  const Batch batch = ReadBatch(check, launch, true);
  check.InputIs(1, check.input(0));
  check.PerChannel(2, 3, batch.channels);
  check.PerChannel(5, 6, batch.channels);
  for (const size_t i : {size_t{4}, size_t{7}}) check.InputIs(i, check.input(0));
  check.Require(!batch.relu || check.HasInput(4) || (check.HasInput(5) && check.HasInput(6)),
                "relu wants y, or scale and bias");
  check.OutputIs(0, Shape{batch.channels});
  check.OutputIs(1, Shape{batch.channels});
  check.OutputIs(2, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([batch](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* x = arguments.input<double>(1);
    const double* mean = arguments.input<double>(2);
    const double* var = arguments.input<double>(3);
    const double* y = arguments.input<double>(4);
    const Forward forward = {x, arguments.input<double>(5), arguments.input<double>(6), mean, var};
    const double* addend = arguments.input<double>(7);
    double* dscale = arguments.output<double>(0);
    double* dbias = arguments.output<double>(1);
    double* dz = arguments.output<double>(2);
    std::fill_n(dscale, batch.channels, 0.0);
    std::fill_n(dbias, batch.channels, 0.0);
    ForEachElement(batch, [&](int64_t i, int64_t c) {
      const double sum = addend == nullptr ? dy[i] : dy[i] + addend[i];
      const double d = BehindRelu(batch, sum, y, forward, i, c);
      dscale[c] += d * (x[i] - mean[c]) * InverseDeviation(var, c, batch);
      dbias[c] += d;
      if (dz != nullptr) dz[i] = d;
    });
  });
}

KernelResult CompileBatchNormGradApply(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFFFFFff", "F"));
  const Batch batch = ReadBatch(check, launch, true);
  check.InputIs(1, check.input(0));
  check.PerChannel(2, 6, batch.channels);
  check.PerChannel(8, 8, batch.channels);
  check.InputIs(7, check.input(0));
  check.Require(!batch.relu || check.HasInput(7) || check.HasInput(8), "relu wants y or bias");
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.input(0)));
  return MakeKernel([batch, band](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* x = arguments.input<double>(1);
    const double* scale = arguments.input<double>(2);
    const double* mean = arguments.input<double>(3);
    const double* var = arguments.input<double>(4);
    const double* dscale = arguments.input<double>(5);
    const double* dbias = arguments.input<double>(6);
    const double* y = arguments.input<double>(7);
    const Forward forward = {x, scale, arguments.input<double>(8), mean, var};
    double* dx = arguments.output<double>(0);
    const double m = static_cast<double>(band.CountInWhole(batch.positions));
    ForEachElement(batch, [&](int64_t i, int64_t c) {
      const double d = BehindRelu(batch, dy[i], y, forward, i, c);
      const double inverse = InverseDeviation(var, c, batch);
      const double xhat = (x[i] - mean[c]) * inverse;
      dx[i] = scale[c] * inverse * (d - dbias[c] / m - xhat * dscale[c] / m);
    });
  });
}

KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFFf", "F"));
  const Batch batch = ReadBatch(check, launch, true);
  check.PerChannel(1, 2, batch.channels);
  check.InputIs(3, check.input(0));
  check.Require(!batch.relu || check.HasInput(3), "relu wants y");
  check.OutputIs(0, check.input(0));
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([batch](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const double* scale = arguments.input<double>(1);
    const double* var = arguments.input<double>(2);
    const double* y = arguments.input<double>(3);
    double* dx = arguments.output<double>(0);
    ForEachElement(batch, [&](int64_t i, int64_t c) {
      dx[i] = BehindRelu(batch, dy[i], y, i) * scale[c] * InverseDeviation(var, c, batch);
    });
  });
}

KernelResult CompileMovingAverage(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  const double momentum = check.Float("momentum");
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(0).ElementCount();
  return MakeKernel([count, momentum](const LaunchArguments& arguments) {
    const double* old = arguments.input<double>(0);
    const double* current = arguments.input<double>(1);
    double* result = arguments.output<double>(0);
    for (int64_t i = 0; i < count; ++i) {
      result[i] = old[i] * momentum + current[i] * (1 - momentum);
    }
  });
}

}  // namespace wsi::reference
