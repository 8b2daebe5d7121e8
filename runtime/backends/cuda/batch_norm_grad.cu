// Gradients of batch normalization.
//   xhat = (x - mean) / sqrt(var + epsilon),   m = positions per channel
#include "runtime/backends/cuda/batch_norm.cuh"
#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace wsi::cuda {
namespace {

// Per-channel operands of gradients; those that a gradient does not read are null.
struct GradVectors {
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* mean = nullptr;
  const float* var = nullptr;
  const float* dscale = nullptr;
  const float* dbias = nullptr;
  double epsilon = 0;
};

// Sums of dz * (x - mean) and dz; stores dz where asked for. The ReLU's mask comes from x
// where kFromX, else from y, of which there is none without ReLU.
template <typename T, int R, bool kFromX>
struct GradTerms {
  using Element = T;
  static constexpr int kTerms = 2;
  static constexpr int kReads = R;
  static constexpr int kPresent = R < 4 ? R : 2;
  static constexpr int kFactors = kFromX ? 3 : 1;  // mean, factor, bias
  const T* from[R];                                // dy, x, [y], [addend]
  GradVectors vectors;
  T* dz;
  __device__ void Prepare(int64_t, int64_t c, float (&factors)[kFactors]) const {
    factors[0] = vectors.mean[c];
    if constexpr (kFromX) {
      factors[1] = Factor(vectors.scale[c], vectors.var[c], vectors.epsilon);
      factors[2] = vectors.bias[c];
    }
  }
  template <int W>
  __device__ void Add(const Factors<W, GradTerms>& s, const float (&v)[kReads][W], int64_t,
                      int64_t at, float (&sums)[2][W]) const {
    float d[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      d[i] = v[0][i];
      if constexpr (R > 3) d[i] += v[3][i];
      if constexpr (kFromX) {
        if (!Passes<T>(Normalized(v[1][i], s[0][i], s[1][i], s[2][i]))) d[i] = 0;
      } else if constexpr (R > 2) {
        if (from[2] != nullptr && !(v[2][i] > 0)) d[i] = 0;
      }
      sums[0][i] = fmaf(d[i], v[1][i] - s[0][i], sums[0][i]);
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
// frozen statistics, only its first term. The mask as in GradTerms.
template <typename T, int R, bool kFromX>
struct GradMap {
  using Element = T;
  static constexpr int kReads = R;
  static constexpr int kPresent = R < 3 ? R : 1;
  static constexpr int kFactors = kFromX ? 5 : 4;  // mean, factor, slope, offset, bias
  const T* from[R];                                // dy, x, [y]
  GradVectors vectors;
  T* dx;
  double m;
  __device__ void Prepare(int64_t, int64_t c, float (&factors)[kFactors]) const {
    factors[1] = Factor(vectors.scale[c], vectors.var[c], vectors.epsilon);
    if (from[1] == nullptr) return;
    const double inverse = InverseDeviation(vectors.var[c], vectors.epsilon);
    factors[0] = vectors.mean[c];
    factors[2] = static_cast<float>(inverse * static_cast<double>(vectors.dscale[c]) / m);
    factors[3] = static_cast<float>(static_cast<double>(vectors.dbias[c]) / m);
    if constexpr (kFromX) factors[4] = vectors.bias[c];
  }
  template <int W>
  __device__ void Apply(const Factors<W, GradMap>& s, const float (&v)[kReads][W],
                        int64_t at) const {
    float d[W];
#pragma unroll
    for (int i = 0; i < W; ++i) {
      d[i] = v[0][i];
      if constexpr (kFromX) {
        if (!Passes<T>(Normalized(v[1][i], s[0][i], s[1][i], s[4][i]))) d[i] = 0;
      } else if constexpr (R > 2) {
        if (from[2] != nullptr && !(v[2][i] > 0)) d[i] = 0;
      }
      if (from[1] != nullptr) d[i] -= fmaf(v[1][i] - s[0][i], s[2][i], s[3][i]);
      d[i] *= s[1][i];
    }
    StorePack<T, W>(d, dx + at);
  }
};

template <int R>
using Reads = std::integral_constant<int, R>;

// run(Reads<R>, std::bool_constant<kFromX>), where no addend is.
template <typename F>
void WithMask(bool from_y, bool from_x, const F& run) {
  if (from_y) {
    run(Reads<3>{}, std::false_type{});
  } else if (from_x) {
    run(Reads<2>{}, std::true_type{});
  } else {
    run(Reads<2>{}, std::false_type{});
  }
}

}  // namespace

KernelResult CompileBatchNormGradStats(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFSSfssf", "SSf"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 2, 3, 2, batch);
  Vectors(check, 5, 6, 0, batch);
  Images(check, {1, 4, 7}, {2});
  check.Require(!batch.relu || check.HasInput(4) || (check.HasInput(5) && check.HasInput(6)),
                "relu wants y, or scale and bias");
  WSI_RETURN_IF_ERROR(check.status());
  const bool from_y = batch.relu && check.HasInput(4);
  const bool from_x = batch.relu && !from_y;
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(batch.shape, WidthOf<T>(batch.shape), 2);
    if (Status s = RequireWorkspace(launch, sums.workspace_bytes()); !s.ok()) {
      return KernelResult(s);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const FinishGrad finish{a.input<float>(3), batch.epsilon, a.output<float>(0),
                              a.output<float>(1)};
      const GradVectors vectors{.scale = a.input<float>(5),
                                .bias = a.input<float>(6),
                                .mean = a.input<float>(2),
                                .var = a.input<float>(3),
                                .epsilon = batch.epsilon};
      const T* addend = a.input<T>(7);
      const auto run = [&](auto reads, auto mask_from_x) {
        GradTerms<T, reads.value, mask_from_x.value> terms{};
        terms.from[0] = a.input<T>(0);
        terms.from[1] = a.input<T>(1);
        if constexpr (reads.value > 2) terms.from[2] = from_y ? a.input<T>(4) : nullptr;
        if constexpr (reads.value > 3) terms.from[3] = addend;
        terms.vectors = vectors;
        terms.dz = a.output<T>(2);
        WithWidth<T>(batch.shape, [&](auto width) {
          sums.Run<width.value>(terms, finish, WorkspaceAt<double>(a), context.stream);
        });
      };
      if (addend != nullptr && from_x) {
        run(Reads<4>{}, std::true_type{});
      } else if (addend != nullptr) {
        run(Reads<4>{}, std::false_type{});
      } else {
        WithMask(from_y, from_x, run);
      }
      return LaunchStatus();
    });
  });
}

KernelResult CompileBatchNormGradApply(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFSSSSSfs", "F"));
  const Batch batch = ReadBatch(check, true);
  Vectors(check, 2, 6, 0, batch);
  Vectors(check, 8, 8, 0, batch);
  Images(check, {1, 7}, {0});
  check.Require(!batch.relu || check.HasInput(7) || check.HasInput(8), "relu wants y or bias");
  WSI_RETURN_IF_ERROR(check.status());
  const bool from_y = batch.relu && check.HasInput(7);
  const bool from_x = batch.relu && !from_y;
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const GradVectors vectors{.scale = a.input<float>(2),
                                .bias = a.input<float>(8),
                                .mean = a.input<float>(3),
                                .var = a.input<float>(4),
                                .dscale = a.input<float>(5),
                                .dbias = a.input<float>(6),
                                .epsilon = batch.epsilon};
      const auto run = [&](auto reads, auto mask_from_x) {
        GradMap<T, reads.value, mask_from_x.value> map{};
        map.from[0] = a.input<T>(0);
        map.from[1] = a.input<T>(1);
        if constexpr (reads.value > 2) map.from[2] = a.input<T>(7);
        map.vectors = vectors;
        map.dx = a.output<T>(0);
        map.m = static_cast<double>(batch.shape.rows);
        WithWidth<T>(batch.shape, [&](auto width) {
          MapColumns<width.value>(map, batch.shape, context.stream);
        });
      };
      WithMask(from_y, from_x, run);
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
      GradMap<T, 3, false> map{};
      map.from[0] = a.input<T>(0);
      map.from[2] = batch.relu ? a.input<T>(3) : nullptr;
      map.vectors.scale = a.input<float>(1);
      map.vectors.var = a.input<float>(2);
      map.vectors.epsilon = batch.epsilon;
      map.dx = a.output<T>(0);
      WithWidth<T>(batch.shape,
                   [&](auto width) { MapColumns<width.value>(map, batch.shape, context.stream); });
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
