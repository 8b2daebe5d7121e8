#include "runtime/backends/cuda/pointwise_source.h"

#include <fmt/format.h>

#include "runtime/backends/cuda/pointwise_formulas.h"

namespace wsi::cuda {
namespace {

// How a type is stored and named in the text.
std::string_view StoredName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "float";
    case DType::kF64: return "double";
    case DType::kF16: return "Half";
    case DType::kBF16: return "BFloat16";
    case DType::kI64: return "long long";
    case DType::kI32: return "int";
    case DType::kI16: return "short";
    case DType::kI8: return "signed char";
    case DType::kU64: return "unsigned long long";
    case DType::kU32: return "unsigned";
    case DType::kU16: return "unsigned short";
    case DType::kU8: return "unsigned char";
    case DType::kBool: return "Truth";
  }
  return "";
}

// What all texts begin with: types, conversions, wide accesses. Load gives what a type is
// computed in; Store rounds to nearest, cuts floats toward zero and saturates integers.
constexpr std::string_view kPrelude = R"(
struct Half { unsigned short bits; };
struct BFloat16 { unsigned short bits; };
struct Truth { unsigned char byte; };

template <typename T> struct Loaded { typedef T type; };
template <> struct Loaded<Half> { typedef float type; };
template <> struct Loaded<BFloat16> { typedef float type; };
template <> struct Loaded<Truth> { typedef unsigned char type; };

template <typename T> __device__ T Load(T v) { return v; }
__device__ float Load(Half v) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v.bits));
  return f;
}
__device__ float Load(BFloat16 v) { return __uint_as_float((unsigned)v.bits << 16); }
__device__ unsigned char Load(Truth v) { return v.byte != 0; }

// Toward zero with the last bit set where something was lost, so that rounding the result
// rounds the fp64 number once.
__device__ float ToOdd(double v) {
  const float f = __double2float_rz(v);
  return (double)f == v || v != v ? f : __uint_as_float(__float_as_uint(f) | 1U);
}
__device__ void StoreHalf(float v, Half& out) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
}
__device__ void StoreHalf(float v, BFloat16& out) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
}
__device__ float Narrowed(float v) { return v; }
__device__ float Narrowed(double v) { return ToOdd(v); }
template <typename T> __device__ float Narrowed(T v) { return ToOdd((double)v); }

// The smallest and the largest number of an integer type, and of floats those that are not
// inside any more.
template <typename T> struct Limits {
  static constexpr bool kSigned = (T)-1 < (T)0;
  static constexpr int kBits = 8 * sizeof(T) - (kSigned ? 1 : 0);
  static constexpr T kHigh = (T)(((1ULL << (kBits - 1)) - 1) * 2 + 1);
  static constexpr T kLow = kSigned ? (T)(-(long long)kHigh - 1) : (T)0;
};
template <typename To, typename F> __device__ To Cut(F v) {
  const F beyond = (F)(1ULL << (Limits<To>::kBits - 1)) * 2;
  if (v != v) return 0;
  if (v >= beyond) return Limits<To>::kHigh;
  if (v <= (F)Limits<To>::kLow) return Limits<To>::kLow;
  return (To)v;
}
template <typename To> __device__ To Saturated(float v) { return Cut<To>(v); }
template <typename To> __device__ To Saturated(double v) { return Cut<To>(v); }
template <typename To, typename From> __device__ To Saturated(From v) {
  if (v < 0) {
    return (long long)v < (long long)Limits<To>::kLow ? Limits<To>::kLow : (To)v;
  }
  return (unsigned long long)v > (unsigned long long)Limits<To>::kHigh ? Limits<To>::kHigh : (To)v;
}

template <typename From> __device__ void Store(From v, float& out) { out = (float)v; }
template <typename From> __device__ void Store(From v, double& out) { out = (double)v; }
template <typename From> __device__ void Store(From v, Half& out) { StoreHalf(Narrowed(v), out); }
template <typename From> __device__ void Store(From v, BFloat16& out) { StoreHalf(Narrowed(v), out); }
template <typename From> __device__ void Store(From v, Truth& out) { out.byte = v != 0; }
template <typename From, typename To> __device__ void Store(From v, To& out) { out = SATURATED<To>(v); }

template <typename T, int N> struct __align__(sizeof(T) * N <= 16 ? sizeof(T) * N : 16) Pack { T v[N]; };
)";

struct Widths {
  int width = 1;
  std::vector<bool> still;
  bool IsPack(size_t i) const { return width > 1 && !still[i]; }
};

std::string OperandText(const PointwiseOperand& operand, DType computed) {
  switch (operand.kind) {
    case PointwiseOperand::Kind::kInput: return fmt::format("x{}", operand.index);
    case PointwiseOperand::Kind::kStep: return fmt::format("t{}", operand.index);
    case PointwiseOperand::Kind::kNumber: return NumberText(operand.number, computed);
  }
  return {};
}

// Loads input i, whose address is operands.at[i] + at[i], as p<i>.
std::string LoadText(std::span<const DType> inputs, const Widths& widths, size_t i) {
  const std::string_view type = StoredName(inputs[i]);
  const std::string of =
      widths.IsPack(i) ? fmt::format("Pack<{}, kWidth>", type) : std::string(type);
  return fmt::format(
      "    const {0} p{1} = *(const {0}*)((const {2}*)operands.at[{1}] + at[{1}]);\n", of, i, type);
}

std::string ElementText(const Widths& widths, size_t i) {
  return widths.IsPack(i) ? fmt::format("Load(p{}.v[i])", i) : fmt::format("Load(p{})", i);
}

// The steps t<i> on element i of the packs p<j>.
Result<std::string> StepsText(const PointwiseProgram& program, size_t inputs, DType computed,
                              const Widths& widths) {
  std::string text;
  for (size_t i = 0; i < inputs; ++i) {
    text += fmt::format("      const V x{} = (V){};\n", i, ElementText(widths, i));
  }
  for (size_t number = 0; number < program.steps.size(); ++number) {
    const PointwiseStep& step = program.steps[number];
    std::vector<std::string> operands;
    for (const PointwiseOperand& operand : step.used()) {
      operands.push_back(OperandText(operand, computed));
    }
    WSI_ASSIGN_OR_RETURN(const std::string formula, FormulaText(step, operands, computed));
    text += fmt::format("      const V t{} = {};\n", number, formula);
  }
  return text;
}

// Integers of a program wrap around, those of a cast saturate.
std::string Preamble(bool casts, DType computed) {
  std::string text = casts ? "#define SATURATED Saturated\n"
                           : "template <typename To, typename From> __device__ To Wrapped(From v) "
                             "{ return (To)v; }\n#define SATURATED Wrapped\n";
  text += kPrelude;
  text += fmt::format("typedef {} V;\n", ComputedName(computed));
  text += PointwiseFunctions(computed);
  return text;
}

// Where item `index` of axes lies, added to `at`.
constexpr std::string_view kLocate = R"(
template <typename Axes, int kRank, int kOperands>
__device__ void Locate(const Axes& axes, long long index, long long (&at)[kOperands]) {
  if (kRank == 1) {
    for (int n = 0; n < kOperands; ++n) at[n] += index * axes.strides[n][0];
    return;
  }
#pragma unroll
  for (int i = kRank - 1; i >= 0; --i) {
    const long long outer = index / axes.sizes[i];
    const long long along = index - outer * axes.sizes[i];
#pragma unroll
    for (int n = 0; n < kOperands; ++n) at[n] += along * axes.strides[n][i];
    index = outer;
  }
}
)";

std::string AxesText(std::string_view name, int rank, size_t operands) {
  return fmt::format("struct {0} {{ long long sizes[{1}]; long long strides[{2}][{1}]; }};\n", name,
                     rank, operands);
}

}  // namespace

Result<std::string> MakePointwiseSource(const PointwiseSource& s) {
  const Widths widths = {s.width, s.still};
  const size_t operands = s.inputs.size() + s.results.size();
  std::string text = Preamble(s.program == nullptr, s.computed);
  text += kLocate;
  text += AxesText("Axes", s.rank, operands);
  text += fmt::format(
      "constexpr int kWidth = {}, kOperands = {};\n"
      "struct Operands {{ void* at[kOperands]; }};\n"
      "extern \"C\" __global__ void __launch_bounds__(256) {}(Operands operands, Axes axes, "
      "long long packs) {{\n"
      "  const long long step = (long long)gridDim.x * blockDim.x;\n"
      "  for (long long pack = (long long)blockIdx.x * blockDim.x + threadIdx.x; pack < packs; "
      "pack += step) {{\n"
      "    long long at[kOperands] = {{}};\n"
      "    Locate<Axes, {}, kOperands>(axes, pack * kWidth, at);\n",
      s.width, operands, kPointwiseKernel, s.rank);
  for (size_t i = 0; i < s.inputs.size(); ++i) text += LoadText(s.inputs, widths, i);
  for (size_t r = 0; r < s.results.size(); ++r) {
    text += fmt::format("    Pack<{}, kWidth> y{};\n", StoredName(s.results[r].dtype), r);
  }
  text += "#pragma unroll\n    for (int i = 0; i < kWidth; ++i) {\n";
  if (s.program == nullptr) {
    text += fmt::format("      const auto t0 = {};\n", ElementText(widths, 0));
  } else {
    WSI_ASSIGN_OR_RETURN(const std::string steps,
                         StepsText(*s.program, s.inputs.size(), s.computed, widths));
    text += steps;
  }
  for (size_t r = 0; r < s.results.size(); ++r) {
    text += fmt::format("      Store(t{}, y{}.v[i]);\n", s.results[r].step, r);
  }
  text += "    }\n";
  for (size_t r = 0; r < s.results.size(); ++r) {
    text += fmt::format("    *(Pack<{0}, kWidth>*)(({0}*)operands.at[{1}] + at[{1}]) = y{2};\n",
                        StoredName(s.results[r].dtype), s.inputs.size() + r, r);
  }
  return text + "  }\n}\n";
}

Result<std::string> MakeSumSource(const SumSource& s) {
  const Widths widths = {1, std::vector<bool>(s.inputs.size())};
  WSI_ASSIGN_OR_RETURN(const std::string steps,
                       StepsText(*s.program, s.inputs.size(), s.computed, widths));
  std::string text = Preamble(false, s.computed);
  text += kLocate;
  text += AxesText("Kept", s.kept_rank, s.inputs.size());
  text += AxesText("Summed", s.summed_rank, s.inputs.size());
  text += fmt::format(
      "constexpr int kOperands = {}, kResults = {}, kColumns = {}, kRows = {};\n"
      "struct Operands {{ void* at[kOperands]; }};\nstruct Results {{ void* at[kResults]; }};\n",
      s.inputs.size(), s.results.size(), s.columns, kSumThreads / s.columns);
  text += fmt::format(R"(
extern "C" __global__ void __launch_bounds__({0}) {1}(Operands operands, Kept kept, Summed summed,
    long long count, long long terms, long long part, double* partial) {{
  __shared__ double shared[kRows][kColumns];
  const int column = threadIdx.x % kColumns, row = threadIdx.x / kColumns;
  const long long end = min(terms, (blockIdx.y + 1LL) * part);
  for (long long first = (long long)blockIdx.x * kColumns; first < count;
       first += (long long)gridDim.x * kColumns) {{
    double sums[kResults] = {{}};
    const long long result = first + column;
    long long base[kOperands] = {{}};
    if (result < count) Locate<Kept, {2}, kOperands>(kept, result, base);
    for (long long term = blockIdx.y * part + row; result < count && term < end; term += kRows) {{
      long long at[kOperands];
      for (int n = 0; n < kOperands; ++n) at[n] = base[n];
      Locate<Summed, {3}, kOperands>(summed, term, at);
)",
                      kSumThreads, kPartialSums, s.kept_rank, s.summed_rank);
  for (size_t i = 0; i < s.inputs.size(); ++i) text += LoadText(s.inputs, widths, i);
  text += steps;
  for (size_t r = 0; r < s.results.size(); ++r) {
    text += fmt::format("      sums[{}] += (double)t{};\n", r, s.results[r].step);
  }
  text += R"(    }
    for (int r = 0; r < kResults; ++r) {
      __syncthreads();
      shared[row][column] = sums[r];
      __syncthreads();
      for (int half = kRows / 2; half > 0; half /= 2) {
        if (row < half) shared[row][column] += shared[row + half][column];
        __syncthreads();
      }
      if (row == 0 && result < count) {
        partial[((long long)r * gridDim.y + blockIdx.y) * count + result] = shared[0][column];
      }
    }
  }
}
)";
  text += fmt::format(R"(
extern "C" __global__ void {}(Results results, long long count, int parts, double factor,
                              const double* partial) {{
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {{
    for (int r = 0; r < kResults; ++r) {{
      double total = 0;
      for (int p = 0; p < parts; ++p) total += partial[((long long)r * parts + p) * count + i];
      total *= factor;
)",
                      kFinishSums);
  for (size_t r = 0; r < s.results.size(); ++r) {
    text += fmt::format("      if (r == {0}) Store(total, (({1}*)results.at[{0}])[i]);\n", r,
                        StoredName(s.results[r].dtype));
  }
  return text + "    }\n  }\n}\n";
}

}  // namespace wsi::cuda
