#include "runtime/backends/cuda/pointwise_source.h"

#include <fmt/format.h>

#include <bit>

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
    case DType::kI8: return "signed char";
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

template <typename T> struct Limits;
template <> struct Limits<long long> {
  static constexpr long long kLow = -9223372036854775807LL - 1, kHigh = 9223372036854775807LL;
};
template <> struct Limits<int> { static constexpr long long kLow = -2147483648LL, kHigh = 2147483647LL; };
template <> struct Limits<signed char> { static constexpr long long kLow = -128, kHigh = 127; };
template <> struct Limits<unsigned char> { static constexpr long long kLow = 0, kHigh = 255; };

template <typename To, typename F> __device__ To Cut(F v) {
  if (v != v) return 0;
  if (v >= -(F)Limits<To>::kLow && Limits<To>::kLow < 0) return (To)Limits<To>::kHigh;
  if (v >= (F)Limits<To>::kHigh && Limits<To>::kLow == 0) return (To)Limits<To>::kHigh;
  if (v <= (F)Limits<To>::kLow) return (To)Limits<To>::kLow;
  return (To)v;
}
template <typename To> __device__ To Saturated(float v) { return Cut<To>(v); }
template <typename To> __device__ To Saturated(double v) { return Cut<To>(v); }
template <typename To> __device__ To Saturated(long long v) {
  return (To)(v < Limits<To>::kLow ? Limits<To>::kLow : v > Limits<To>::kHigh ? Limits<To>::kHigh : v);
}
template <typename To> __device__ To Saturated(int v) { return Saturated<To>((long long)v); }
template <typename To> __device__ To Saturated(signed char v) { return Saturated<To>((long long)v); }
template <typename To> __device__ To Saturated(unsigned char v) { return Saturated<To>((long long)v); }

template <typename From> __device__ void Store(From v, float& out) { out = (float)v; }
template <typename From> __device__ void Store(From v, double& out) { out = (double)v; }
template <typename From> __device__ void Store(From v, Half& out) { StoreHalf(Narrowed(v), out); }
template <typename From> __device__ void Store(From v, BFloat16& out) { StoreHalf(Narrowed(v), out); }
template <typename From> __device__ void Store(From v, Truth& out) { out.byte = v != 0; }
template <typename From, typename To> __device__ void Store(From v, To& out) { out = SATURATED<To>(v); }

template <typename T, int N> struct __align__(sizeof(T) * N <= 16 ? sizeof(T) * N : 16) Pack { T v[N]; };
)";

std::string Declarations(const PointwiseSource& s) {
  std::string text = fmt::format("typedef {} V;\n", ComputedName(s.computed));
  text += fmt::format("constexpr int kWidth = {}, kRank = {}, kOperands = {};\n", s.width, s.rank,
                      s.inputs.size() + 1);
  text += "struct Operands { void* at[kOperands]; };\n";
  text += "struct Axes { long long sizes[kRank]; long long strides[kOperands][kRank]; };\n";
  text += PointwiseFunctions(s.computed);
  return text;
}

// A pack's first element in every operand. Along the innermost axis packs are counted.
constexpr std::string_view kLocate = R"(
    long long rest = pack * kWidth;
    long long at[kOperands] = {};
    if (kRank == 1) {
      for (int n = 0; n < kOperands; ++n) at[n] = rest * axes.strides[n][0];
    } else {
      for (int i = kRank - 1; i >= 0; --i) {
        const long long outer = rest / axes.sizes[i];
        const long long along = rest - outer * axes.sizes[i];
        for (int n = 0; n < kOperands; ++n) at[n] += along * axes.strides[n][i];
        rest = outer;
      }
    }
)";

std::string LoadInput(const PointwiseSource& s, size_t i) {
  const std::string_view type = StoredName(s.inputs[i]);
  if (s.still[i] || s.width == 1) {
    return fmt::format("    const {0} p{1} = *((const {0}*)operands.at[{1}] + at[{1}]);\n", type,
                       i);
  }
  return fmt::format(
      "    const Pack<{0}, kWidth> p{1} = "
      "*(const Pack<{0}, kWidth>*)((const {0}*)operands.at[{1}] + at[{1}]);\n",
      type, i);
}

std::string Element(const PointwiseSource& s, size_t i) {
  return s.still[i] || s.width == 1 ? fmt::format("Load(p{})", i)
                                    : fmt::format("Load(p{}.v[i])", i);
}

std::string OperandText(const PointwiseOperand& operand, DType computed) {
  switch (operand.kind) {
    case PointwiseOperand::Kind::kInput: return fmt::format("x{}", operand.index);
    case PointwiseOperand::Kind::kStep: return fmt::format("t{}", operand.index);
    case PointwiseOperand::Kind::kNumber: return NumberText(operand.number, computed);
  }
  return {};
}

// The steps on one element, whose last is `result`.
Result<std::string> Steps(const PointwiseSource& s) {
  std::string text;
  if (s.program == nullptr) return fmt::format("      const auto result = {};\n", Element(s, 0));
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    text += fmt::format("      const V x{} = (V){};\n", i, Element(s, i));
  }
  size_t number = 0;
  for (const PointwiseStep& step : s.program->steps) {
    std::vector<std::string> operands;
    for (const PointwiseOperand& operand : step.used()) {
      operands.push_back(OperandText(operand, s.computed));
    }
    WSI_ASSIGN_OR_RETURN(const std::string formula, FormulaText(step, operands, s.computed));
    text += fmt::format("      const V t{} = {};\n", number++, formula);
  }
  return text + fmt::format("      const V result = t{};\n", number - 1);
}

}  // namespace

Result<std::string> MakePointwiseSource(const PointwiseSource& s) {
  WSI_ASSIGN_OR_RETURN(const std::string steps, Steps(s));
  // Integers of a program wrap around, those of a cast saturate.
  const bool casts = s.program == nullptr;
  std::string text = casts ? "#define SATURATED Saturated\n"
                           : "template <typename To, typename From> __device__ To Wrapped(From v) "
                             "{ return (To)v; }\n#define SATURATED Wrapped\n";
  text += kPrelude;
  text += Declarations(s);
  const std::string_view stored = StoredName(s.output);
  text += fmt::format(
      "extern \"C\" __global__ void __launch_bounds__(256) {}(Operands operands, Axes axes, "
      "long long packs) {{\n"
      "  const long long step = (long long)gridDim.x * blockDim.x;\n"
      "  for (long long pack = (long long)blockIdx.x * blockDim.x + threadIdx.x; pack < packs; "
      "pack += step) {{",
      kPointwiseKernel);
  text += kLocate;
  for (size_t i = 0; i < s.inputs.size(); ++i) text += LoadInput(s, i);
  text += fmt::format(
      "    Pack<{0}, kWidth> y;\n#pragma unroll\n    for (int i = 0; i < kWidth; ++i) {{\n",
      stored);
  text += steps;
  text += fmt::format(
      "      Store(result, y.v[i]);\n    }}\n"
      "    *(Pack<{0}, kWidth>*)(({0}*)operands.at[{1}] + at[{1}]) = y;\n  }}\n}}\n",
      stored, s.inputs.size());
  return text;
}

}  // namespace wsi::cuda
