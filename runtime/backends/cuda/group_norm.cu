// Group normalization: statistics over the positions of one image and the neighbouring
// channels of one group. Sums are first made for each channel.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/moments.cuh"

namespace wsi::cuda {
namespace {

struct Groups {
  ColumnShape shape;  // [image, position, channel]
  int64_t groups = 1;
  __host__ __device__ int64_t per_group() const { return shape.columns / groups; }
  __host__ __device__ double count() const { return static_cast<double>(shape.rows * per_group()); }
};

Groups ReadGroups(LaunchCheck& check, const Shape& x) {
  check.ChannelsLast(x, 2);
  check.Require(x.rank() < 2 || x.ElementCount() > 0, "wants a tensor that is not empty");
  if (!check.status().ok()) return {};
  Groups g{.shape = {.batch = x[0], .rows = x.ElementCount() / x[0] / x[-1], .columns = x[-1]}};
  check.Require(check.HasAttribute("num_groups"), "lacks attribute num_groups");
  g.groups = check.Int("num_groups", 1, g.shape.columns, 1);
  check.Require(g.shape.columns % g.groups == 0, "num_groups does not divide the channels");
  return g;
}

// Keeps the sums of each image and channel: [n][kTerms][channel].
template <int kTerms>
struct Keep {
  int64_t columns;
  double* to;
  __device__ void operator()(int64_t n, int64_t c, const double (&sums)[kTerms]) const {
#pragma unroll
    for (int k = 0; k < kTerms; ++k) to[(n * kTerms + k) * columns + c] = sums[k];
  }
};

// One thread a group: mean and 1 / sqrt(var + epsilon) from its channels' sums.
template <typename T>
__global__ void GroupStatistics(Groups g, const T* x, const double* sums, double epsilon,
                                float* means, float* inverses) {
  const int64_t i = FirstItem();
  if (i >= g.shape.batch * g.groups) return;
  const int64_t n = i / g.groups;
  const int64_t first = i % g.groups * g.per_group();
  const auto m = static_cast<double>(g.shape.rows);
  const double base = static_cast<double>(Load(x[g.shape.At(n, 0, first)]));
  double sum = 0;     // Of x - base,
  double square = 0;  // and of its square.
  for (int64_t c = first; c < first + g.per_group(); ++c) {
    const double shift = static_cast<double>(Load(x[g.shape.At(n, 0, c)])) - base;
    const double s = sums[(n * 2) * g.shape.columns + c];
    sum += s + m * shift;
    square += sums[(n * 2 + 1) * g.shape.columns + c] + 2 * shift * s + m * shift * shift;
  }
  const double mean = sum / g.count();
  means[i] = static_cast<float>(base + mean);
  inverses[i] = static_cast<float>(1 / sqrt(fmax(square / g.count() - mean * mean, 0.0) + epsilon));
}

template <typename T>
struct ApplyMap {
  using Element = T;
  static constexpr int kReads = 1;
  static constexpr int kPresent = 1;
  static constexpr int kFactors = 3;  // mean, factor, bias
  const T* from[1];                   // x
  Groups g;
  const float* scale;
  const float* bias;
  const float* means;
  const float* inverses;
  T* y;
  __device__ void Prepare(int64_t n, int64_t column, float (&factors)[kFactors]) const {
    const int64_t group = n * g.groups + column / g.per_group();
    factors[0] = means[group];
    factors[1] = scale[column] * inverses[group];
    factors[2] = bias[column];
  }
  template <int W>
  __device__ void Apply(const Factors<W, ApplyMap>& s, const float (&v)[kReads][W],
                        int64_t at) const {
    float result[W];
#pragma unroll
    for (int i = 0; i < W; ++i) result[i] = fmaf(v[0][i] - s[0][i], s[1][i], s[2][i]);
    StorePack<T, W>(result, y + at);
  }
};

// Sums of dy and dy * xhat for each image and channel.
template <typename T>
struct GradTerms {
  using Element = T;
  static constexpr int kTerms = 2;
  static constexpr int kReads = 2;
  static constexpr int kPresent = 2;
  static constexpr int kFactors = 2;  // mean, inverse deviation
  const T* from[2];                   // dy, x
  Groups g;
  const float* means;
  const float* inverses;
  __device__ void Prepare(int64_t n, int64_t column, float (&factors)[kFactors]) const {
    const int64_t group = n * g.groups + column / g.per_group();
    factors[0] = means[group];
    factors[1] = inverses[group];
  }
  template <int W>
  __device__ void Add(const Factors<W, GradTerms>& s, const float (&v)[kReads][W], int64_t, int64_t,
                      float (&sums)[2][W]) const {
#pragma unroll
    for (int i = 0; i < W; ++i) {
      sums[0][i] += v[0][i];
      sums[1][i] = fmaf(v[0][i], (v[1][i] - s[0][i]) * s[1][i], sums[1][i]);
    }
  }
};

// One thread a channel: its dscale and dbias, sums over the images.
__global__ void GradVectors(Groups g, const double* sums, float* dscale, float* dbias) {
  const int64_t c = FirstItem();
  if (c >= g.shape.columns) return;
  double scale = 0;
  double bias = 0;
  for (int64_t n = 0; n < g.shape.batch; ++n) {
    bias += sums[(n * 2) * g.shape.columns + c];
    scale += sums[(n * 2 + 1) * g.shape.columns + c];
  }
  dscale[c] = static_cast<float>(scale);
  dbias[c] = static_cast<float>(bias);
}

// One thread a group: averages of d = dy * scale and of d * xhat.
__global__ void GradAverages(Groups g, const double* sums, const float* scale, float* averages) {
  const int64_t i = FirstItem();
  if (i >= g.shape.batch * g.groups) return;
  const int64_t n = i / g.groups;
  const int64_t first = i % g.groups * g.per_group();
  double sum = 0;
  double dot = 0;
  for (int64_t c = first; c < first + g.per_group(); ++c) {
    sum += sums[(n * 2) * g.shape.columns + c] * static_cast<double>(scale[c]);
    dot += sums[(n * 2 + 1) * g.shape.columns + c] * static_cast<double>(scale[c]);
  }
  averages[2 * i] = static_cast<float>(sum / g.count());
  averages[2 * i + 1] = static_cast<float>(dot / g.count());
}

// dx = inverse * (d - average(d) - xhat * average(d * xhat))
template <typename T>
struct GradMap {
  using Element = T;
  static constexpr int kReads = 2;
  static constexpr int kPresent = 2;
  static constexpr int kFactors = 5;  // mean, inverse deviation, scale, both averages
  const T* from[2];                   // dy, x
  Groups g;
  const float* scale;
  const float* means;
  const float* inverses;
  const float* averages;
  T* dx;
  __device__ void Prepare(int64_t n, int64_t column, float (&factors)[kFactors]) const {
    const int64_t group = n * g.groups + column / g.per_group();
    factors[0] = means[group];
    factors[1] = inverses[group];
    factors[2] = scale[column];
    factors[3] = averages[2 * group];
    factors[4] = averages[2 * group + 1];
  }
  template <int W>
  __device__ void Apply(const Factors<W, GradMap>& s, const float (&v)[kReads][W],
                        int64_t at) const {
    float d[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      const float xhat = (v[1][i] - s[0][i]) * s[1][i];
      d[i] = s[1][i] * (v[0][i] * s[2][i] - s[3][i] - xhat * s[4][i]);
    }
    StorePack<T, W>(d, dx + at);
  }
};

}  // namespace

KernelResult CompileGroupNormalization(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FSS", "Fss"));
  const Groups g = ReadGroups(check, check.input(0));
  const double epsilon = check.Float("epsilon", 1e-5);
  check.PerChannel(1, 2, g.shape.columns);
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, Shape{g.shape.batch, g.groups});
  check.OutputIs(2, Shape{g.shape.batch, g.groups});
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(g.shape, WidthOf<T>(g.shape), 2);
    const GroupNormLayout layout = LayOutGroupNorm(g.shape, WidthOf<T>(g.shape), g.groups);
    if (Status s = RequireWorkspace(launch, layout.end); !s.ok()) return KernelResult(s);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* x = a.input<T>(0);
      auto* totals = WorkspaceAt<double>(a, layout.totals);
      auto* spare = WorkspaceAt<float>(a, layout.groups);
      const int64_t count = g.shape.batch * g.groups;
      float* means = a.outputs.size() > 1 && a.outputs[1] ? a.output<float>(1) : spare;
      float* inverses = a.outputs.size() > 2 && a.outputs[2] ? a.output<float>(2) : spare + count;
      const ApplyMap<T> map{{x},   g,        a.input<float>(1), a.input<float>(2),
                            means, inverses, a.output<T>(0)};
      WithWidth<T>(g.shape, [&](auto width) {
        sums.Run<width.value>(MomentTerms<T>{{x}, g.shape}, Keep<2>{g.shape.columns, totals},
                              WorkspaceAt<double>(a), context.stream);
        GroupStatistics<T><<<ExactGridFor(count), kThreads, 0, context.stream>>>(
            g, x, totals, epsilon, means, inverses);
        MapColumns<width.value>(map, g.shape, context.stream);
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileGroupNormGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFSSS", "FSS"));
  const Groups g = ReadGroups(check, check.input(0));
  check.InputIs(1, check.input(0));
  check.InputIs(1, check.input_type(0));
  check.PerChannel(2, 2, g.shape.columns);
  check.InputIs(3, Shape{g.shape.batch, g.groups});
  check.InputIs(4, Shape{g.shape.batch, g.groups});
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, Shape{g.shape.columns});
  check.OutputIs(2, Shape{g.shape.columns});
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(g.shape, WidthOf<T>(g.shape), 2);
    const GroupNormLayout layout = LayOutGroupNorm(g.shape, WidthOf<T>(g.shape), g.groups);
    if (Status s = RequireWorkspace(launch, layout.end); !s.ok()) return KernelResult(s);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      auto* totals = WorkspaceAt<double>(a, layout.totals);
      auto* averages = WorkspaceAt<float>(a, layout.groups);
      const auto* scale = a.input<float>(2);
      const auto* means = a.input<float>(3);
      const auto* inverses = a.input<float>(4);
      const GradTerms<T> terms{{a.input<T>(0), a.input<T>(1)}, g, means, inverses};
      const GradMap<T> map{
          {a.input<T>(0), a.input<T>(1)}, g, scale, means, inverses, averages, a.output<T>(0)};
      WithWidth<T>(g.shape, [&](auto width) {
        sums.Run<width.value>(terms, Keep<2>{g.shape.columns, totals}, WorkspaceAt<double>(a),
                              context.stream);
        GradVectors<<<ExactGridFor(g.shape.columns), kThreads, 0, context.stream>>>(
            g, totals, a.output<float>(1), a.output<float>(2));
        GradAverages<<<ExactGridFor(g.shape.batch * g.groups), kThreads, 0, context.stream>>>(
            g, totals, scale, averages);
        MapColumns<width.value>(map, g.shape, context.stream);
      });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
