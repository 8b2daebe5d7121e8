// Layer and root mean square normalization over the axes from attribute axis on: a block
// a row.
#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace wsi::cuda {
namespace {

struct NormRows {
  int64_t count = 1;
  int64_t length = 1;
  bool centered = true;
};

// `elements` and `statistics`: shapes of scale and of what is computed of each row.
NormRows ReadRows(LaunchCheck& check, const Shape& x, std::string_view op, Shape* elements,
                  Shape* statistics) {
  NormRows rows;
  rows.centered = op.starts_with("Layer");
  const int axis = check.Axis("axis", x.rank());
  if (!check.status().ok()) return rows;
  std::vector<int64_t> ones(x.begin(), x.end());
  std::fill(ones.begin() + axis, ones.end(), 1);
  *elements = Shape::Make(x.sizes().subspan(static_cast<size_t>(axis))).value();
  *statistics = Shape::Make(ones).value();
  rows.length = elements->ElementCount();
  rows.count = statistics->ElementCount();
  check.Require(rows.length > 0, "wants rows that are not empty");
  return rows;
}

unsigned ThreadsFor(int64_t length) { return length <= 128 ? 32 : length <= 4096 ? 128 : 512; }
unsigned BlocksFor(int64_t rows) {
  return static_cast<unsigned>(std::clamp<int64_t>(rows, 1, int64_t{1} << 30));
}

template <typename T>
struct Forward {
  NormRows rows;
  const T* x;
  const float* scale;
  const float* bias;
  T* y;
  float* means;
  float* inverses;
  double epsilon;
};

template <typename T>
__global__ void RowNorm(Forward<T> f) {
  const int64_t length = f.rows.length;
  const auto n = static_cast<double>(length);
  for (int64_t row = blockIdx.x; row < f.rows.count; row += gridDim.x) {
    const T* x = f.x + row * length;
    double sum = 0;
    for (int64_t i = threadIdx.x; f.rows.centered && i < length; i += blockDim.x) {
      sum += static_cast<double>(Load(x[i]));
    }
    const double mean = f.rows.centered ? BlockSum(sum) / n : 0;
    double square = 0;
    for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
      const double d = static_cast<double>(Load(x[i])) - mean;
      square += d * d;
    }
    const double inverse = 1 / sqrt(BlockSum(square) / n + f.epsilon);
    const auto mean32 = static_cast<float>(mean);
    const auto inverse32 = static_cast<float>(inverse);
    for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
      float v = (Load(x[i]) - mean32) * inverse32 * f.scale[i];
      if (f.bias != nullptr) v += f.bias[i];
      Store(v, f.y[row * length + i]);
    }
    if (threadIdx.x == 0) {
      if (f.means != nullptr) f.means[row] = mean32;
      if (f.inverses != nullptr) f.inverses[row] = inverse32;
    }
  }
}

template <typename T>
struct Backward {
  NormRows rows;
  const T* dy;
  const T* x;
  const float* scale;
  const float* means;  // Null where rows are not centered.
  const float* inverses;
  T* dx;
};

// With d = dy * scale and averages over the row:
//   dx = inverse * (d - average(d) - xhat * average(d * xhat)),
// without a mean also without the first average.
template <typename T>
__global__ void RowNormGrad(Backward<T> b) {
  const int64_t length = b.rows.length;
  const auto n = static_cast<double>(length);
  for (int64_t row = blockIdx.x; row < b.rows.count; row += gridDim.x) {
    const T* dy = b.dy + row * length;
    const T* x = b.x + row * length;
    const float mean = b.means != nullptr ? b.means[row] : 0;
    const float inverse = b.inverses[row];
    double sum = 0;
    double dot = 0;
    for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
      const float d = Load(dy[i]) * b.scale[i];
      sum += static_cast<double>(d);
      dot += static_cast<double>(d * ((Load(x[i]) - mean) * inverse));
    }
    sum = BlockSum(sum);
    const auto dot32 = static_cast<float>(BlockSum(dot) / n);
    const float sum32 = b.rows.centered ? static_cast<float>(sum / n) : 0;
    for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
      const float xhat = (Load(x[i]) - mean) * inverse;
      Store(inverse * (Load(dy[i]) * b.scale[i] - sum32 - xhat * dot32), b.dx[row * length + i]);
    }
  }
}

// Sums over the rows of dy * xhat and dy, for each element of a row.
template <typename T>
struct VectorTerms {
  using Element = T;
  static constexpr int kTerms = 2;
  static constexpr int kReads = 2;
  static constexpr int kPresent = 2;
  static constexpr int kFactors = 0;
  const T* from[2];  // dy, x
  const float* means;
  const float* inverses;
  template <int W>
  __device__ void Add(const Factors<W, VectorTerms>&, const float (&v)[kReads][W], int64_t row,
                      int64_t, float (&sums)[2][W]) const {
    const float mean = means != nullptr ? means[row] : 0;
#pragma unroll
    for (int i = 0; i < W; ++i) {
      sums[0][i] = fmaf(v[0][i], (v[1][i] - mean) * inverses[row], sums[0][i]);
      sums[1][i] += v[0][i];
    }
  }
};

struct FinishVectors {
  float* dscale;
  float* dbias;
  __device__ void operator()(int64_t, int64_t c, const double (&sums)[2]) const {
    dscale[c] = static_cast<float>(sums[0]);
    if (dbias != nullptr) dbias[c] = static_cast<float>(sums[1]);
  }
};

}  // namespace

KernelResult CompileRowNorm(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  const bool layer = launch.op.starts_with("Layer");
  WSI_RETURN_IF_ERROR(layer ? check.Operands("FSs", "Fss") : check.Operands("FS", "Fs"));
  Shape elements;
  Shape statistics;
  const NormRows rows = ReadRows(check, check.input(0), launch.op, &elements, &statistics);
  const double epsilon = check.Float("epsilon", 1e-5);
  for (size_t i = 1; i <= 2; ++i) {
    check.InputIs(i, elements);
    check.OutputIs(i, statistics);
  }
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const Forward<T> f{rows,
                         a.input<T>(0),
                         a.input<float>(1),
                         a.input<float>(2),
                         a.output<T>(0),
                         rows.centered ? a.output<float>(1) : nullptr,
                         a.output<float>(rows.centered ? 2 : 1),
                         epsilon};
      RowNorm<T><<<BlocksFor(rows.count), ThreadsFor(rows.length), 0, context.stream>>>(f);
      return LaunchStatus();
    });
  });
}

KernelResult CompileRowNormGrad(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  const bool layer = launch.op.starts_with("Layer");
  WSI_RETURN_IF_ERROR(layer ? check.Operands("FFSSS", "FSS") : check.Operands("FFSS", "FS"));
  Shape elements;
  Shape statistics;
  const NormRows rows = ReadRows(check, check.input(0), launch.op, &elements, &statistics);
  check.InputIs(1, check.input(0));
  check.InputIs(1, check.input_type(0));
  check.InputIs(2, elements);
  check.InputIs(3, statistics);
  check.InputIs(4, statistics);
  check.OutputIs(0, check.input(0));
  check.OutputIs(0, check.input_type(0));
  check.OutputIs(1, elements);
  check.OutputIs(2, elements);
  WSI_RETURN_IF_ERROR(check.status());
  const ColumnShape shape = {.rows = rows.count, .columns = rows.length};
  return ForStorage(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    const ColumnSums sums(shape, WidthOf<T>(shape), 2);
    if (Status s = RequireWorkspace(launch, sums.workspace_bytes()); !s.ok()) {
      return KernelResult(s);
    }
    return MakeKernel([=, &context](const LaunchArguments& a) {
      const float* means = rows.centered ? a.input<float>(3) : nullptr;
      const auto* inverses = a.input<float>(rows.centered ? 4 : 3);
      const FinishVectors finish{a.output<float>(1), rows.centered ? a.output<float>(2) : nullptr};
      const VectorTerms<T> terms{{a.input<T>(0), a.input<T>(1)}, means, inverses};
      // First: dx may lie where dy does.
      WithWidth<T>(shape, [&](auto width) {
        sums.Run<width.value>(terms, finish, WorkspaceAt<double>(a), context.stream);
      });
      const Backward<T> b{rows,  a.input<T>(0), a.input<T>(1), a.input<float>(2),
                          means, inverses,      a.output<T>(0)};
      RowNormGrad<T><<<BlocksFor(rows.count), ThreadsFor(rows.length), 0, context.stream>>>(b);
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
