// Where, Cast and Identity: pointwise operators that move values of any type.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "runtime/backends/cpu/broadcast.h"
#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/pointwise.h"

namespace wsi::cpu {
namespace {

// The value, of a C++ type.
template <typename T>
auto ValueOf(T v) {
  if constexpr (std::is_class_v<T>) {
    return Load(v);
  } else {
    return v;
  }
}

// Floats truncate towards zero and saturate, NaN gives 0.
template <typename To>
To Saturate(double v) {
  if (std::isnan(v)) return 0;
  // Exact: limits of 64-bit integers round to powers of two.
  if (v <= static_cast<double>(std::numeric_limits<To>::min())) {
    return std::numeric_limits<To>::min();
  }
  if (v >= static_cast<double>(std::numeric_limits<To>::max())) {
    return std::numeric_limits<To>::max();
  }
  return static_cast<To>(v);
}

template <typename From, typename To>
To Convert(From from) {
  const auto v = ValueOf(from);
  using Wide = decltype(v);
  if constexpr (std::is_same_v<To, bool>) {
    return v != 0;
  } else if constexpr (std::is_class_v<To>) {
    To to;
    Store(static_cast<float>(v), to);
    return to;
  } else if constexpr (std::is_floating_point_v<std::remove_const_t<Wide>> &&
                       std::is_integral_v<To>) {
    return Saturate<To>(static_cast<double>(v));
  } else {
    return static_cast<To>(v);
  }
}

using CastLoop = void (*)(const std::byte* x, int64_t n, std::byte* y);

template <typename From, typename To>
void RunCast(const std::byte* x, int64_t n, std::byte* y) {
  const From* from = reinterpret_cast<const From*>(x);
  To* to = reinterpret_cast<To*>(y);
  for (int64_t i = 0; i < n; ++i) to[i] = Convert<From, To>(from[i]);
}

template <typename From>
CastLoop FindCastFrom(DType to) {
  switch (to) {
    case DType::kF32: return RunCast<From, float>;
    case DType::kF64: return RunCast<From, double>;
    case DType::kF16: return RunCast<From, Half>;
    case DType::kBF16: return RunCast<From, BFloat16>;
    case DType::kI64: return RunCast<From, int64_t>;
    case DType::kI32: return RunCast<From, int32_t>;
    case DType::kU8: return RunCast<From, uint8_t>;
    case DType::kBool: return RunCast<From, bool>;
    case DType::kI8: return RunCast<From, int8_t>;
    case DType::kI16: return RunCast<From, int16_t>;
    case DType::kU16: return RunCast<From, uint16_t>;
    case DType::kU32: return RunCast<From, uint32_t>;
    case DType::kU64: return RunCast<From, uint64_t>;
  }
  return nullptr;
}

// Vector code for the casts that training in half precision makes.
template <DType kFrom>
void RunWiden(const std::byte* x, int64_t n, std::byte* y) {
  Widen(kFrom, x, n, reinterpret_cast<float*>(y));
}
template <DType kTo>
void RunNarrow(const std::byte* x, int64_t n, std::byte* y) {
  Narrow(reinterpret_cast<const float*>(x), n, kTo, y);
}

CastLoop FindCast(DType from, DType to) {
  if (to == DType::kF32 && from == DType::kBF16) return RunWiden<DType::kBF16>;
  if (to == DType::kF32 && from == DType::kF16) return RunWiden<DType::kF16>;
  if (from == DType::kF32 && to == DType::kBF16) return RunNarrow<DType::kBF16>;
  if (from == DType::kF32 && to == DType::kF16) return RunNarrow<DType::kF16>;
  switch (from) {
    case DType::kF32: return FindCastFrom<float>(to);
    case DType::kF64: return FindCastFrom<double>(to);
    case DType::kF16: return FindCastFrom<Half>(to);
    case DType::kBF16: return FindCastFrom<BFloat16>(to);
    case DType::kI64: return FindCastFrom<int64_t>(to);
    case DType::kI32: return FindCastFrom<int32_t>(to);
    case DType::kU8: return FindCastFrom<uint8_t>(to);
    case DType::kBool: return FindCastFrom<bool>(to);
    case DType::kI8: return FindCastFrom<int8_t>(to);
    case DType::kI16: return FindCastFrom<int16_t>(to);
    case DType::kU16: return FindCastFrom<uint16_t>(to);
    case DType::kU32: return FindCastFrom<uint32_t>(to);
    case DType::kU64: return FindCastFrom<uint64_t>(to);
  }
  return nullptr;
}

// y = condition ? a : b on elements of T's size.
template <typename T>
KernelResult CompileWhereOf(const Broadcast& runs, Context& context) {
  return MakeKernel([runs, &context](const LaunchArguments& arguments) {
    const int64_t c_stride = runs.inner_stride(0);
    const int64_t a_stride = runs.inner_stride(1);
    const int64_t b_stride = runs.inner_stride(2);
    runs.ForEachRun(context.pool, [&](const Broadcast::Offsets& at, int64_t out, int64_t n) {
      const uint8_t* c = arguments.input<uint8_t>(0) + at[0];
      const T* a = arguments.input<T>(1) + at[1];
      const T* b = arguments.input<T>(2) + at[2];
      T* y = arguments.output<T>(0) + out;
      for (int64_t i = 0; i < n; ++i) {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the operands were checked.
        y[i] = c[i * c_stride] != 0 ? a[i * a_stride] : b[i * b_stride];
      }
    });
  });
}

}  // namespace

KernelResult CompileWhere(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kBool));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, launch.inputs[1].dtype));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[1].dtype));
  const Shape shapes[] = {launch.inputs[0].shape, launch.inputs[1].shape, launch.inputs[2].shape};
  WSI_ASSIGN_OR_RETURN(const Broadcast runs,
                       Broadcast::Make(launch, shapes, launch.outputs[0].shape));
  switch (DTypeBytes(launch.inputs[1].dtype)) {
    case 1: return CompileWhereOf<uint8_t>(runs, context);
    case 2: return CompileWhereOf<uint16_t>(runs, context);
    case 4: return CompileWhereOf<uint32_t>(runs, context);
    default: return CompileWhereOf<uint64_t>(runs, context);
  }
}

KernelResult CompileCast(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const OperandSpec& from = launch.inputs[0];
  const OperandSpec& to = launch.outputs[0];
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, to.dtype, from.shape));
  if (launch.attributes.String("to", DTypeName(to.dtype)) != DTypeName(to.dtype)) {
    return CompileError(launch, "attribute `to` is not the type of the output");
  }
  const CastLoop loop = FindCast(from.dtype, to.dtype);
  if (loop == nullptr) return CompileError(launch, "unknown type");
  const Chunks chunks = ChunksOf(from.shape.ElementCount(), 1, kGrain);
  const Bytes from_size = DTypeBytes(from.dtype);
  const Bytes to_size = DTypeBytes(to.dtype);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loop(a.inputs[0] + begin * from_size, end - begin, a.outputs[0] + begin * to_size);
    });
  });
}

KernelResult CompileIdentity(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 1, 1, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  if (launch.outputs[0].shape.ElementCount() != x.shape.ElementCount() ||
      launch.outputs[0].dtype != x.dtype) {
    return CompileError(launch, "changes the type or the number of elements");
  }
  const Chunks chunks = ChunksOf(x.shape.ByteCount(x.dtype), 1, 4 * kGrain);
  return MakeKernel([chunks, &context](const LaunchArguments& a) {
    if (a.inputs[0] == a.outputs[0]) return;
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      std::memcpy(a.outputs[0] + begin, a.inputs[0] + begin, static_cast<size_t>(end - begin));
    });
  });
}

}  // namespace wsi::cpu
