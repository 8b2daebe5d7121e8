// Batch normalization over all axes but the last, which holds the channels.
//   xhat = (x - mean) / sqrt(var + epsilon),   m = positions per channel
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/moments.cuh"

namespace wsi::cuda {
namespace {

struct Batch {
  ColumnShape shape;
  double epsilon = 0;
  bool relu = false;
};

Batch ReadBatch(LaunchCheck& check, bool with_epsilon) {
  const Shape& x = check.input(0);
  check.ChannelsLast(x, 2);
  check.Require(x.rank() < 2 || x.ElementCount() > 0, "wants a tensor that is not empty");
  if (!check.status().ok()) return {};
  Batch batch;
  batch.shape = {.rows = x.ElementCount() / x[-1], .columns = x[-1]};
  if (with_epsilon) batch.epsilon = check.Float("epsilon");
  batch.relu = check.Flag("relu");
  return batch;
}

// Inputs `first` to `last` and outputs 0 to below `outputs` have an f32 a channel.
void Vectors(LaunchCheck& check, size_t first, size_t last, size_t outputs, const Batch& batch) {
  check.PerChannel(first, last, batch.shape.columns);
  for (size_t i = 0; i < outputs; ++i) check.OutputIs(i, Shape{batch.shape.columns});
}

// Inputs and outputs of these numbers are like input 0.
void Images(LaunchCheck& check, std::initializer_list<size_t> inputs,
            std::initializer_list<size_t> outputs) {
  for (const size_t i : inputs) {
    check.InputIs(i, check.input(0));
    check.InputIs(i, check.input_type(0));
  }
  for (const size_t i : outputs) {
    check.OutputIs(i, check.input(0));
    check.OutputIs(i, check.input_type(0));
  }
}

__device__ float InverseDeviation(float var, double epsilon) {
  return static_cast<float>(1.0 / sqrt(static_cast<double>(var) + epsilon));
}

template <typename T>
struct FinishMoments {
  const T* x;
  double m;
  float* mean;
  float* var;
  __device__ void operator()(int64_t, int64_t c, const double (&sums)[2]) const {
    const double offset = sums[0] / m;
    mean[c] = static_cast<float>(static_cast<double>(Load(x[c])) + offset);
    var[c] = static_cast<float>(fmax(sums[1] / m - offset * offset, 0.0));
  }
};

template <typename T>
struct ApplyMap {
  using Element = T;
  static constexpr int kReads = 2;
  const T* from[2];  // x, residual
  const float* scale;
  const float* bias;
  const float* mean;
  const float* var;
  T* y;
  double epsilon;
  bool relu;
  template <int W>
  struct State {
    float mean[W], factor[W], bias[W];
  };
  template <int W>
  __device__ State<W> Prepare(int64_t, int64_t column) const {
    State<W> s;
#pragma unroll
    for (int i = 0; i < W; ++i) {
      s.mean[i] = mean[column + i];
      s.factor[i] = scale[column + i] * InverseDeviation(var[column + i], epsilon);
      s.bias[i] = bias[column + i];
    }
    return s;
  }
  template <int W>
  __device__ void Apply(const State<W>& s, const float (&v)[kReads][W], int64_t at) const {
    float result[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      result[i] = fmaf(v[0][i] - s.mean[i], s.factor[i], s.bias[i]) + v[1][i];
      if (relu && result[i] < 0) result[i] = 0;
    }
    StorePack<T, W>(result, y + at);
  }
};

// Sums of dz * (x - mean) and dz; stores dz where asked for.
template <typename T>
struct GradTerms {
  using Element = T;
  static constexpr int kTerms = 2;
  static constexpr int kReads = 3;
  const T* from[3];  // dy, x, y; without ReLU y is null.
  const float* mean;
  T* dz;
  template <int W>
  struct State {
    float mean[W];
  };
  template <int W>
  __device__ State<W> Prepare(int64_t, int64_t column) const {
    State<W> s;
#pragma unroll
    for (int i = 0; i < W; ++i) s.mean[i] = mean[column + i];
    return s;
  }
  template <int W>
  __device__ void Add(const State<W>& s, const float (&v)[kReads][W], int64_t, int64_t at,
                      float (&sums)[2][W]) const {
    float d[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      d[i] = from[2] == nullptr || v[2][i] > 0 ? v[0][i] : 0.0F;
      sums[0][i] = fmaf(d[i], v[1][i] - s.mean[i], sums[0][i]);
      sums[1][i] += d[i];
    }
    if (dz != nullptr) StorePack<T, W>(d, dz + at);
  }
};

struct FinishGrad {
  const float* var;
  double epsilon;
  float* dscale;
  float* dbias;
  __device__ void operator()(int64_t, int64_t c, const double (&sums)[2]) const {
    dscale[c] = static_cast<float>(sums[0] / sqrt(static_cast<double>(var[c]) + epsilon));
    dbias[c] = static_cast<float>(sums[1]);
  }
};

// dx = scale / sqrt(var + epsilon) * (dz - dbias / m - xhat * dscale / m); without x, as of
// frozen statistics, only its first term.
template <typename T>
struct GradMap {
  using Element = T;
  static constexpr int kReads = 3;
  const T* from[3];  // dy, x, y; without ReLU y is null.
  const float* scale;
  const float* mean;
  const float* var;
  const float* dscale;
  const float* dbias;
  T* dx;
  double epsilon;
  double m;
  template <int W>
  struct State {
    float factor[W], mean[W], slope[W], offset[W];
  };
  template <int W>
  __device__ State<W> Prepare(int64_t, int64_t column) const {
    State<W> s;
#pragma unroll
    for (int i = 0; i < W; ++i) {
      const int64_t c = column + i;
      const double inverse = 1.0 / sqrt(static_cast<double>(var[c]) + epsilon);
      s.factor[i] = static_cast<float>(static_cast<double>(scale[c]) * inverse);
      if (from[1] == nullptr) continue;
      s.mean[i] = mean[c];
      s.slope[i] = static_cast<float>(inverse * static_cast<double>(dscale[c]) / m);
      s.offset[i] = static_cast<float>(static_cast<double>(dbias[c]) / m);
    }
    return s;
  }
  template <int W>
  __device__ void Apply(const State<W>& s, const float (&v)[kReads][W], int64_t at) const {
    float d[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      d[i] = from[2] == nullptr || v[2][i] > 0 ? v[0][i] : 0.0F;
      if (from[1] != nullptr) d[i] -= fmaf(v[1][i] - s.mean[i], s.slope[i], s.offset[i]);
      d[i] *= s.factor[i];
    }
    StorePack<T, W>(d, dx + at);
  }
};

}  // namespace

KernelResult CompileBatchNormStats(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "SS"));
  const Batch batch = ReadBatch(check, false);
  Vectors(check, 1, 0, 2, batch);
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(batch.shape, WidthOf<T>(batch.shape), 2);
    if (Status s = context.scratch.Require(sums.scratch_bytes()); !s.ok()) return KernelResult(s);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* x = a.input<T>(0);
      const MomentTerms<T> terms{{x}, batch.shape};
      const FinishMoments<T> finish{x, static_cast<double>(batch.shape.rows), a.output<float>(0),
                                    a.output<float>(1)};
      WithWidth<T>(batch.shape, [&](auto width) {
        sums.Run<width.value>(terms, finish, context.scratch.at<double>(0), context.stream);
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileBatchNormApply(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FSSSSf", "F"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 1, 4, 0, batch);
  Images(check, {5}, {0});
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const ApplyMap<T> map{{a.input<T>(0), a.input<T>(5)},
                            a.input<float>(1),
                            a.input<float>(2),
                            a.input<float>(3),
                            a.input<float>(4),
                            a.output<T>(0),
                            batch.epsilon,
                            batch.relu};
      WithWidth<T>(batch.shape,
                   [&](auto width) { MapColumns<width.value>(map, batch.shape, context.stream); });
      return LaunchStatus();
    });
  });
}

KernelResult CompileBatchNormGradStats(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFSSf", "SSf"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 2, 3, 2, batch);
  Images(check, {1, 4}, {2});
  check.Require(!batch.relu || check.HasInput(4), "relu wants y");
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(batch.shape, WidthOf<T>(batch.shape), 2);
    if (Status s = context.scratch.Require(sums.scratch_bytes()); !s.ok()) return KernelResult(s);
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* y = batch.relu ? a.input<T>(4) : nullptr;
      const GradTerms<T> terms{
          {a.input<T>(0), a.input<T>(1), y}, a.input<float>(2), a.output<T>(2)};
      const FinishGrad finish{a.input<float>(3), batch.epsilon, a.output<float>(0),
                              a.output<float>(1)};
      WithWidth<T>(batch.shape, [&](auto width) {
        sums.Run<width.value>(terms, finish, context.scratch.at<double>(0), context.stream);
      });
      return LaunchStatus();
    });
  });
}

KernelResult CompileBatchNormGradApply(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFSSSSSf", "F"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 2, 6, 0, batch);
  Images(check, {1, 7}, {0});
  check.Require(!batch.relu || check.HasInput(7), "relu wants y");
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* y = batch.relu ? a.input<T>(7) : nullptr;
      const GradMap<T> map{{a.input<T>(0), a.input<T>(1), y},
                           a.input<float>(2),
                           a.input<float>(3),
                           a.input<float>(4),
                           a.input<float>(5),
                           a.input<float>(6),
                           a.output<T>(0),
                           batch.epsilon,
                           static_cast<double>(batch.shape.rows)};
      WithWidth<T>(batch.shape,
                   [&](auto width) { MapColumns<width.value>(map, batch.shape, context.stream); });
      return LaunchStatus();
    });
  });
}

KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FSSf", "F"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 1, 2, 0, batch);
  Images(check, {3}, {0});
  check.Require(!batch.relu || check.HasInput(3), "relu wants y");
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      GradMap<T> map{};
      map.from[0] = a.input<T>(0);
      map.scale = a.input<float>(1);
      map.var = a.input<float>(2);
      map.from[2] = batch.relu ? a.input<T>(3) : nullptr;
      map.dx = a.output<T>(0);
      map.epsilon = batch.epsilon;
      WithWidth<T>(batch.shape,
                   [&](auto width) { MapColumns<width.value>(map, batch.shape, context.stream); });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
