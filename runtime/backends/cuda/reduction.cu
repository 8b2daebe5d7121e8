// Sums, means, products and extremes over axes.
#include <limits>
#include <optional>
#include <vector>

#include "runtime/backends/cuda/column_sums.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/strided.cuh"
#include "runtime/workspace/cuda_lines.h"

namespace wsi::cuda {
namespace {

// What terms of type T are added and multiplied in: fp64, and integers that wrap.
template <typename T>
using Total = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;

struct Sum {
  template <typename T>
  using Value = Total<T>;
  template <typename A>
  __device__ static A Start(bool) {
    return 0;
  }
  template <typename A>
  __device__ static A Combine(A a, A b) {
    return a + b;
  }
};
struct Product {
  template <typename T>
  using Value = Total<T>;
  template <typename A>
  __device__ static A Start(bool) {
    return 1;
  }
  template <typename A>
  __device__ static A Combine(A a, A b) {
    return a * b;
  }
};
// NaN, equal to nothing, wins.
struct Largest {
  template <typename T>
  using Value = Computed<T>;
  template <typename A>
  __device__ static A Start(bool) {
    using Limits = std::numeric_limits<A>;
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  }
  template <typename A>
  __device__ static A Combine(A a, A b) {
    return a != a || a > b ? a : b;
  }
};
struct Smallest {
  template <typename T>
  using Value = Computed<T>;
  template <typename A>
  __device__ static A Start(bool truth) {
    using Limits = std::numeric_limits<A>;
    return Limits::has_infinity ? Limits::infinity() : truth ? A{1} : Limits::max();
  }
  template <typename A>
  __device__ static A Combine(A a, A b) {
    return a != a || a < b ? a : b;
  }
};

template <typename Fold, typename A>
__device__ A BlockFold(A value) {
  __shared__ A warps[32];
  for (int step = 16; step > 0; step /= 2) {
    // 32 bits a shuffle at least.
    using Wide = std::conditional_t<(sizeof(A) < 4), int, A>;
    value =
        Fold::Combine(value, static_cast<A>(__shfl_xor_sync(~0U, static_cast<Wide>(value), step)));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  A total = warps[0];
  for (unsigned w = 1; w < blockDim.x / 32; ++w) total = Fold::Combine(total, warps[w]);
  return total;
}

struct Reduction {
  Axes<1> kept;
  Axes<1> reduced;
  int64_t results = 1;
  int64_t terms = 1;
  int64_t part = 1;  // Terms of a block.
  bool truth = false;
  double divisor = 1;
};

// With what its launches are chosen by.
struct Problem : Reduction {
  std::optional<ColumnShape> columns;  // Where the middle of such is summed.
};

template <typename A, typename U>
__device__ void StoreResult(A total, double divisor, U& out) {
  if constexpr (std::is_floating_point_v<A>) {
    Store(divisor == 1 ? total : static_cast<A>(static_cast<double>(total) / divisor), out);
  } else {
    Store(total, out);
  }
}

// A block a result and part of its terms; out: [result][part].
template <typename Fold, typename A, typename T, typename U>
__global__ void FoldBlocks(Reduction r, const T* x, U* out) {
  for (int64_t i = blockIdx.x; i < r.results; i += gridDim.x) {
    int64_t base[1];
    r.kept.Locate(i, base);
    A total = Fold::template Start<A>(r.truth);
    const int64_t end = min(r.terms, (blockIdx.y + int64_t{1}) * r.part);
    for (int64_t t = blockIdx.y * r.part + threadIdx.x; t < end; t += blockDim.x) {
      int64_t at[1];
      r.reduced.Locate(t, at);
      total = Fold::Combine(total, static_cast<A>(Load(x[base[0] + at[0]])));
    }
    total = BlockFold<Fold>(total);
    if (threadIdx.x == 0) StoreResult(total, r.divisor, out[i * gridDim.y + blockIdx.y]);
  }
}

template <typename Fold, typename A, typename T, typename U>
__global__ void FoldThreads(Reduction r, const T* x, U* out) {
  for (int64_t i = FirstItem(); i < r.results; i += ItemStride()) {
    int64_t base[1];
    r.kept.Locate(i, base);
    A total = Fold::template Start<A>(r.truth);
    for (int64_t t = 0; t < r.terms; ++t) {
      int64_t at[1];
      r.reduced.Locate(t, at);
      total = Fold::Combine(total, static_cast<A>(Load(x[base[0] + at[0]])));
    }
    StoreResult(total, r.divisor, out[i]);
  }
}

template <typename Fold, typename T, typename U>
KernelResult CompileFold(const LaunchSpec& launch, const Reduction& reduction, Context& context) {
  using A = typename Fold::template Value<T>;
  Reduction whole = reduction;
  whole.part = whole.terms;
  const int64_t parts = FoldParts(whole.results, whole.terms);
  if (parts == 0) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      FoldThreads<Fold, A><<<GridFor(whole.results), kThreads, 0, context.stream>>>(
          whole, a.input<T>(0), a.output<U>(0));
      return LaunchStatus();
    });
  }
  const auto blocks = static_cast<unsigned>(whole.results);
  if (parts == 1) {
    return MakeKernel([=, &context](const LaunchArguments& a) {
      FoldBlocks<Fold, A>
          <<<blocks, kThreads, 0, context.stream>>>(whole, a.input<T>(0), a.output<U>(0));
      return LaunchStatus();
    });
  }
  Reduction first = reduction;
  first.part = CeilDiv(first.terms, parts);
  first.divisor = 1;
  Reduction second = reduction;  // Over [result][part].
  second.terms = parts;
  second.part = parts;
  const int64_t results = whole.results;
  second.kept = Merge<1>(1, {results}, {AxisArray{parts}});
  second.reduced = Merge<1>(1, {parts}, {AxisArray{1}});
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, FoldBytes(results, whole.terms, Bytes{sizeof(A)})));
  return MakeKernel([=, &context](const LaunchArguments& a) {
    A* partial = WorkspaceAt<A>(a);
    FoldBlocks<Fold, A>
        <<<dim3(blocks, static_cast<unsigned>(parts)), kThreads, 0, context.stream>>>(
            first, a.input<T>(0), partial);
    FoldBlocks<Fold, A><<<blocks, kThreads, 0, context.stream>>>(second, partial, a.output<U>(0));
    return LaunchStatus();
  });
}

// Sums over the middle of [outer, terms, inner], neighbours next to each other.
template <typename U>
struct FinishColumn {
  int64_t columns;
  double divisor;
  U* out;
  __device__ void operator()(int64_t n, int64_t c, const double (&sums)[1]) const {
    Store(sums[0] / divisor, out[n * columns + c]);
  }
};

template <typename T, typename U>
KernelResult CompileColumns(const LaunchSpec& launch, const ColumnShape& shape, double divisor,
                            Context& context) {
  const ColumnSums sums(shape, WidthOf<T>(shape), 1);
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, sums.workspace_bytes()));
  return MakeKernel([=, &context](const LaunchArguments& a) {
    WithWidth<T>(shape, [&](auto width) {
      sums.Run<width.value>(SumTerms<T>{{a.input<T>(0)}},
                            FinishColumn<U>{shape.columns, divisor, a.output<U>(0)},
                            WorkspaceAt<double>(a), context.stream);
    });
    return LaunchStatus();
  });
}

template <typename T, typename U>
KernelResult CompileSums(const LaunchSpec& launch, const Problem& r, Context& context) {
  if constexpr (!std::is_integral_v<T> && !std::is_same_v<T, double>) {
    if (r.columns) return CompileColumns<T, U>(launch, *r.columns, r.divisor, context);
  }
  return CompileFold<Sum, T, U>(launch, r, context);
}

Problem ReadReduction(LaunchCheck& check, std::string_view op) {
  Problem r;
  const Shape& x = check.input(0);
  const std::vector<int64_t> axes = check.Axes("axes", x.rank());
  const bool keep = check.Int("keepdims", 0, 1, 1) == 1;
  if (!check.status().ok()) return r;
  std::vector<bool> is_reduced(static_cast<size_t>(x.rank()), false);
  for (const int64_t axis : axes) is_reduced[static_cast<size_t>(axis)] = true;
  std::vector<int64_t> result;
  AxisArray sizes[2] = {};
  AxisArray strides[2] = {};
  int ranks[2] = {};
  for (size_t i = 0; i < is_reduced.size(); ++i) {
    const int64_t size = x[static_cast<int>(i)];
    const size_t k = is_reduced[i] ? 1 : 0;
    (k == 1 ? r.terms : r.results) *= size;
    const auto to = static_cast<size_t>(ranks[k]++);
    sizes[k][to] = size;
    strides[k][to] = RowMajor(x)[i];
    if (k == 0 || keep) result.push_back(k == 0 ? size : 1);
  }
  check.OutputIs(0, Shape::Make(result).value());
  r.kept = Merge<1>(ranks[0], sizes[0], {strides[0]});
  r.reduced = Merge<1>(ranks[1], sizes[1], {strides[1]});
  r.columns = ReducedColumns(x, is_reduced);
  r.truth = check.input_type(0) == DType::kBool;
  if (op == "ReduceMean") r.divisor = static_cast<double>(r.terms);
  return r;
}

}  // namespace

KernelResult CompileReduction(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  const bool mean = launch.op == "ReduceMean";
  WSI_RETURN_IF_ERROR(mean ? check.Operands("F", "F") : check.Operands("*", "*"));
  const Problem r = ReadReduction(check, launch.op);
  const DType dtype = check.input_type(0);
  const bool sums = mean || launch.op == "ReduceSum";
  const bool widens = sums && IsFloat(dtype) && check.output_type(0) == DType::kF32;
  if (!widens) check.OutputIs(0, dtype);
  WSI_RETURN_IF_ERROR(check.status());
  const auto compile = [&]<typename T>(std::type_identity<T>) -> KernelResult {
    if (launch.op == "ReduceProd") return CompileFold<Product, T, T>(launch, r, context);
    if (launch.op == "ReduceMax") return CompileFold<Largest, T, T>(launch, r, context);
    if (launch.op == "ReduceMin") return CompileFold<Smallest, T, T>(launch, r, context);
    if constexpr (!std::is_integral_v<T>) {
      if (widens) return CompileSums<T, float>(launch, r, context);
    }
    return CompileSums<T, T>(launch, r, context);
  };
  switch (dtype) {
    case DType::kI64: return compile(std::type_identity<int64_t>{});
    case DType::kI32: return compile(std::type_identity<int32_t>{});
    case DType::kU8:
    case DType::kBool: return compile(std::type_identity<uint8_t>{});
    default: return ForFloat(launch, dtype, compile);
  }
}

}  // namespace wsi::cuda
