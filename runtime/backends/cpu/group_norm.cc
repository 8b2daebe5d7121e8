#include "runtime/backends/cpu/group_norm.h"

#include <cmath>

#include "runtime/backends/cpu/channel_sums.h"
#include "runtime/backends/cpu/loops/normalization_loops.h"

namespace wsi::cpu {
namespace {

struct Geometry {
  int64_t images = 0;
  int64_t groups = 0;
  int64_t group_channels = 0;
  ChannelRows rows;  // Of one image.
  double epsilon = 0;
  int64_t image_elements() const { return rows.positions() * rows.channels(); }
};

// REQUIRES: input 0 is present.
Result<Geometry> MakeGeometry(const LaunchSpec& launch) {
  const Shape& shape = launch.inputs[0].shape;
  if (shape.rank() < 2 || shape.ElementCount() == 0) {
    return CompileError(launch, "wants a non-empty tensor with a channel axis");
  }
  const int64_t groups = launch.attributes.Int("num_groups", 0);
  const int64_t channels = shape[-1];
  if (groups < 1 || channels % groups != 0) {
    return CompileError(launch, "num_groups does not divide the channels");
  }
  return Geometry{.images = shape[0],
                  .groups = groups,
                  .group_channels = channels / groups,
                  .rows = ChannelRows(shape.ElementCount() / shape[0] / channels, channels),
                  .epsilon = launch.attributes.Float("epsilon", 1e-5)};
}

// Mean and 1/sqrt(variance + epsilon) of group g from the moments of its channels.
struct GroupMoments {
  double mean = 0;
  double inverse_deviation = 0;
};
GroupMoments MergeGroup(const Geometry& geometry, const Scratch& scratch, int64_t g) {
  const auto mean = geometry.rows.totals(scratch, 0);
  const auto m2 = geometry.rows.totals(scratch, 1);
  const size_t first = static_cast<size_t>(g * geometry.group_channels);
  const size_t last = first + static_cast<size_t>(geometry.group_channels);
  const double positions = static_cast<double>(geometry.rows.positions());
  double group_mean = 0;
  for (size_t c = first; c < last; ++c) group_mean += mean[c];
  group_mean /= static_cast<double>(geometry.group_channels);
  double sum = 0;
  for (size_t c = first; c < last; ++c) {
    const double delta = mean[c] - group_mean;
    sum += m2[c] + positions * delta * delta;
  }
  const double variance = sum / (positions * static_cast<double>(geometry.group_channels));
  return {.mean = group_mean, .inverse_deviation = 1.0 / std::sqrt(variance + geometry.epsilon)};
}

// Inputs: x, scale, bias; outputs: y, [mean[N,G], inv_std[N,G]].
template <typename T>
KernelResult Forward(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 3));
  WSI_ASSIGN_OR_RETURN(const Geometry geometry, MakeGeometry(launch));
  const Shape& shape = launch.inputs[0].shape;
  const Shape vector = {shape[-1]};
  const Shape statistics = {geometry.images, geometry.groups};
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32, vector));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, DType::kF32, vector));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kF32, statistics));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 2, DType::kF32, statistics));
  WSI_RETURN_IF_ERROR(geometry.rows.Require(context.scratch));
  return MakeKernel([geometry, &context](const LaunchArguments& a) {
    const ChannelRows& rows = geometry.rows;
    const Scratch& scratch = context.scratch;
    const auto& loops = GetNormalizationLoops().Of<T>();
    for (int64_t n = 0; n < geometry.images; ++n) {
      const int64_t image = n * geometry.image_elements();
      const T* x = a.input<T>(0) + image;
      T* y = a.output<T>(0) + image;
      ChannelMoments(context, rows, x);
      const auto group_of = [&](int64_t c) {
        return MergeGroup(geometry, scratch, c / geometry.group_channels);
      };
      const float* mean = rows.FillVector(scratch, 0, [&](int64_t c) { return group_of(c).mean; });
      const float* factor = rows.FillVector(scratch, 1, [&](int64_t c) {
        return group_of(c).inverse_deviation * static_cast<double>(a.input<float>(1)[c]);
      });
      const float* bias =
          rows.FillVector(scratch, 2, [&](int64_t c) { return a.input<float>(2)[c]; });
      for (int64_t g = 0; g < geometry.groups; ++g) {
        const GroupMoments moments = MergeGroup(geometry, scratch, g);
        const int64_t at = n * geometry.groups + g;
        if (float* out = a.output<float>(1)) out[at] = static_cast<float>(moments.mean);
        if (float* out = a.output<float>(2)) {
          out[at] = static_cast<float>(moments.inverse_deviation);
        }
      }
      ForChunks(context.pool, rows.chunks(), [&](int64_t begin, int64_t end, int64_t, int) {
        const int64_t at = begin * rows.channels();
        loops.apply(x + at, nullptr, mean, factor, bias, (end - begin) * rows.channels(),
                    rows.period(), false, y + at);
      });
    }
  });
}

// Inputs: dy, x, scale, mean, inv_std; outputs: dx, dscale, dbias. With g the gradient
// dy * scale and m the elements of a group,
//   dx = inv_std * (g - sum(g) / m - xhat * sum(g * xhat) / m), xhat = (x - mean) * inv_std.
template <typename T>
KernelResult Backward(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 5, 5, 3, 3));
  WSI_ASSIGN_OR_RETURN(const Geometry geometry, MakeGeometry(launch));
  const Shape& shape = launch.inputs[0].shape;
  const Shape vector = {shape[-1]};
  const Shape statistics = {geometry.images, geometry.groups};
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, DType::kF32, vector));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 3, DType::kF32, statistics));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 4, DType::kF32, statistics));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, StorageType<T>(), shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kF32, vector));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 2, DType::kF32, vector));
  WSI_RETURN_IF_ERROR(geometry.rows.Require(context.scratch));
  struct GroupSums {
    double gradient = 0;
    double dot = 0;
  };
  std::vector<double> totals(static_cast<size_t>(2 * shape[-1]));
  std::vector<GroupSums> sums(static_cast<size_t>(geometry.groups));
  return MakeKernel([geometry, totals, sums, &context](const LaunchArguments& a) mutable {
    const ChannelRows& rows = geometry.rows;
    const Scratch& scratch = context.scratch;
    const auto& loops = GetNormalizationLoops().Of<T>();
    const size_t channels = static_cast<size_t>(rows.channels());
    const float* scale = a.input<float>(2);
    std::fill(totals.begin(), totals.end(), 0.0);
    for (int64_t n = 0; n < geometry.images; ++n) {
      const int64_t image = n * geometry.image_elements();
      const T* dy = a.input<T>(0) + image;
      const T* x = a.input<T>(1) + image;
      T* dx = a.output<T>(0) + image;
      const auto group_of = [&](int64_t c) { return c / geometry.group_channels; };
      const auto inverse = [&](int64_t c) {
        return static_cast<double>(a.input<float>(4)[n * geometry.groups + group_of(c)]);
      };
      const float* mean = rows.FillVector(scratch, 0, [&](int64_t c) {
        return a.input<float>(3)[n * geometry.groups + group_of(c)];
      });
      ChannelGradSums<T>(context, rows, {.dy = dy, .x = x, .mean = mean});
      const auto sum = rows.totals(scratch, 0);
      const auto dot = rows.totals(scratch, 1);
      std::fill(sums.begin(), sums.end(), GroupSums{});
      for (size_t c = 0; c < channels; ++c) {
        const int64_t channel = static_cast<int64_t>(c);
        const double xhat_dot = dot[c] * inverse(channel);
        totals[c] += xhat_dot;
        totals[channels + c] += sum[c];
        GroupSums& group = sums[static_cast<size_t>(group_of(channel))];
        group.gradient += sum[c] * static_cast<double>(scale[c]);
        group.dot += xhat_dot * static_cast<double>(scale[c]);
      }
      const double inverse_count =
          1.0 / static_cast<double>(rows.positions() * geometry.group_channels);
      const float* factor = rows.FillVector(
          scratch, 1, [&](int64_t c) { return inverse(c) * static_cast<double>(scale[c]); });
      const float* shift = rows.FillVector(scratch, 2, [&](int64_t c) {
        return inverse(c) * sums[static_cast<size_t>(group_of(c))].gradient * inverse_count;
      });
      const float* slope = rows.FillVector(scratch, 3, [&](int64_t c) {
        return inverse(c) * inverse(c) * sums[static_cast<size_t>(group_of(c))].dot * inverse_count;
      });
      ForChunks(context.pool, rows.chunks(), [&](int64_t begin, int64_t end, int64_t, int) {
        const int64_t at = begin * rows.channels();
        loops.grad_apply({.dy = dy + at,
                          .x = x + at,
                          .mean = mean,
                          .factor = factor,
                          .shift = shift,
                          .slope = slope,
                          .dx = dx + at},
                         (end - begin) * rows.channels(), rows.period());
      });
    }
    for (size_t c = 0; c < channels; ++c) {
      a.output<float>(1)[c] = static_cast<float>(totals[c]);
      a.output<float>(2)[c] = static_cast<float>(totals[channels + c]);
    }
  });
}

}  // namespace

KernelResult CompileGroupNormalization(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(Forward);
}
KernelResult CompileGroupNormGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_STORAGE(Backward);
}

}  // namespace wsi::cpu
