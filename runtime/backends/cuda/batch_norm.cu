// Batch normalization over all axes but the last, which holds the channels.
//   xhat = (x - mean) / sqrt(var + epsilon),   m = positions per channel
#include "runtime/backends/cuda/batch_norm.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/moments.cuh"

namespace wsi::cuda {
namespace {

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
  static constexpr int kPresent = 1;
  static constexpr int kFactors = 3;  // mean, factor, bias
  const T* from[2];                   // x, residual
  const float* scale;
  const float* bias;
  const float* mean;
  const float* var;
  T* y;
  double epsilon;
  bool relu;
  __device__ void Prepare(int64_t, int64_t column, float (&factors)[kFactors]) const {
    factors[0] = mean[column];
    factors[1] = Factor(scale[column], var[column], epsilon);
    factors[2] = bias[column];
  }
  template <int W>
  __device__ void Apply(const Factors<W, ApplyMap>& s, const float (&v)[kReads][W],
                        int64_t at) const {
    float result[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      result[i] = Normalized(v[0][i], s[0][i], s[1][i], s[2][i]) + v[1][i];
      if (relu && result[i] < 0) result[i] = 0;
    }
    StorePack<T, W>(result, y + at);
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
    if (Status s = RequireWorkspace(launch, sums.workspace_bytes()); !s.ok()) {
      return KernelResult(s);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const T* x = a.input<T>(0);
      const MomentTerms<T> terms{{x}, batch.shape};
      const FinishMoments<T> finish{x, static_cast<double>(batch.shape.rows), a.output<float>(0),
                                    a.output<float>(1)};
      WithWidth<T>(batch.shape, [&](auto width) {
        sums.Run<width.value>(terms, finish, WorkspaceAt<double>(a), context.stream);
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

}  // namespace wsi::cuda
