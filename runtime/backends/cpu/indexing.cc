#include "runtime/backends/cpu/indexing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/backends/cpu/column_sums.h"
#include "runtime/backends/cpu/element_types.h"

namespace wsi::cpu {
namespace {

// The integers of input 1.
class Indices {
 public:
  static Result<Indices> Make(const LaunchSpec& launch, int64_t size) {
    const OperandSpec& operand = launch.inputs[1];
    if (operand.dtype != DType::kI64 && operand.dtype != DType::kI32) {
      return CompileError(launch, fmt::format("indices are {}; the kernel wants i64 or i32",
                                              DTypeName(operand.dtype)));
    }
    return Indices(operand.dtype == DType::kI64, size, operand.shape.ElementCount());
  }
  int64_t count() const { return count_; }
  int64_t size() const { return size_; }
  // Index i from the front; REQUIRES: Check has found them all inside.
  int64_t At(const LaunchArguments& a, int64_t i) const {
    const int64_t index = wide_ ? a.input<int64_t>(1)[i] : a.input<int32_t>(1)[i];
    return index < 0 ? index + size_ : index;
  }
  Status Check(const LaunchArguments& a) const {
    for (int64_t i = 0; i < count_; ++i) {
      const int64_t index = At(a, i);
      if (index >= 0 && index < size_) continue;
      return InvalidInput(fmt::format("index {} is outside an axis of size {}",
                                      index < 0 ? index - size_ : index, size_));
    }
    return {};
  }

 private:
  Indices(bool wide, int64_t size, int64_t count) : wide_(wide), size_(size), count_(count) {}

  bool wide_;
  int64_t size_;  // Of the axis that they are positions of.
  int64_t count_;
};

struct Blocks {
  int64_t outer = 1;
  int64_t size = 1;   // Of the axis.
  int64_t inner = 1;  // Elements behind one position of it.
};
Blocks BlocksAlong(const Shape& shape, int axis) {
  Blocks blocks{.size = shape[axis]};
  for (int a = 0; a < axis; ++a) blocks.outer *= shape[a];
  for (int a = axis + 1; a < shape.rank(); ++a) blocks.inner *= shape[a];
  return blocks;
}

Result<int> AxisOf(const LaunchSpec& launch, const Shape& shape) {
  return NormalizeAxis(launch.attributes.Int("axis", 0), shape.rank());
}

// Lines of the indices along the axis, and the lines of the indexed tensor that they
// read or write.
struct Pairing {
  Lines lines;                   // Of the indices.
  std::vector<int64_t> sizes;    // Of the indices, without the axis.
  std::vector<int64_t> strides;  // In the indexed tensor.
  int64_t stride = 1;            // Of the axis in the indexed tensor.

  int64_t Start(int64_t line) const {
    int64_t start = 0;
    for (size_t i = sizes.size(); i-- > 0;) {
      start += line % sizes[i] * strides[i];
      line /= sizes[i];
    }
    return start;
  }
};

Result<Pairing> MakePairing(const LaunchSpec& launch, const Shape& x, const Shape& indices,
                            int axis) {
  bool fits = indices.rank() == x.rank();
  for (int a = 0; fits && a < x.rank(); ++a) fits = a == axis || indices[a] <= x[a];
  if (!fits) return CompileError(launch, "indices do not lie within the tensor");
  Pairing pairing;
  pairing.lines = Lines::Along(indices, axis);
  int64_t stride = 1;
  for (int a = x.rank() - 1; a >= 0; --a) {
    if (a == axis) {
      pairing.stride = stride;
    } else {
      pairing.sizes.insert(pairing.sizes.begin(), indices[a]);
      pairing.strides.insert(pairing.strides.begin(), stride);
    }
    stride *= x[a];
  }
  return pairing;
}

template <typename T>
using Reduce = T (*)(T old, T update);

// Several updates of one element are combined in R, and rounded to T once. Where R is not T,
// `line` holds as many R as the axis is long, and only what the indices name is used of it.
template <typename T, typename R>
void ScatterLine(const LaunchArguments& a, const Pairing& pairing, const Indices& indices,
                 int64_t l, Reduce<R> reduce, R* line) {
  const int64_t from = pairing.lines.Start(l);
  T* y = a.output<T>(0) + pairing.Start(l);
  const auto for_each = [&](const auto& function) {
    for (int64_t j = 0; j < pairing.lines.size; ++j) {
      const int64_t at = from + j * pairing.lines.stride;
      const int64_t index = indices.At(a, at);
      function(at, index, y[index * pairing.stride]);
    }
  };
  if constexpr (std::is_same_v<T, R>) {
    for_each(
        [&](int64_t at, int64_t, T& element) { element = reduce(element, a.input<T>(2)[at]); });
  } else {
    for_each([&](int64_t, int64_t i, const T& element) { line[i] = static_cast<R>(element); });
    for_each([&](int64_t at, int64_t i, const T&) {
      line[i] = reduce(line[i], static_cast<R>(a.input<T>(2)[at]));
    });
    for_each([&](int64_t, int64_t i, T& element) { element = static_cast<T>(line[i]); });
  }
}

template <typename T, typename R>
KernelResult Scatter(const Pairing& pairing, const Indices& indices, const Shape& x,
                     Reduce<R> reduce, Context& context) {
  Bytes line_bytes = 0;
  if constexpr (!std::is_same_v<T, R>) {
    WSI_ASSIGN_OR_RETURN(line_bytes, CheckedMul(indices.size(), int64_t{sizeof(R)}));
  }
  WSI_RETURN_IF_ERROR(context.scratch.Require(0, line_bytes));
  const Bytes bytes = x.ElementCount() * int64_t{sizeof(T)};
  const Chunks chunks = ChunksOf(pairing.lines.count, pairing.lines.size * 4, kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(indices.Check(a));
    if (a.inputs[0] != a.outputs[0]) {
      std::memcpy(a.outputs[0], a.inputs[0], static_cast<size_t>(bytes));
    }
    // Different lines write different elements.
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
      R* line = context.scratch.worker<R>(worker);
      for (int64_t l = begin; l < end; ++l) ScatterLine<T>(a, pairing, indices, l, reduce, line);
    });
    return {};
  });
}

template <typename T>
Reduce<T> FindReduction(std::string_view name) {
  if (name == "none") return [](T, T update) { return update; };
  if (name == "add")
    return [](T old, T update) { return static_cast<T>(WrappingAdd(old, update)); };
  if (name == "mul")
    return [](T old, T update) { return static_cast<T>(WrappingMul(old, update)); };
  if (name == "max") return Larger<T>;
  return name == "min" ? Smaller<T> : nullptr;
}

}  // namespace

KernelResult CompileGather(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch, x.shape));
  const Blocks blocks = BlocksAlong(x.shape, axis);
  WSI_ASSIGN_OR_RETURN(const Indices indices, Indices::Make(launch, blocks.size));
  std::vector<int64_t> sizes(x.shape.begin(), x.shape.end());
  sizes[static_cast<size_t>(axis)] = indices.count();
  WSI_ASSIGN_OR_RETURN(const Shape y, Shape::Make(sizes));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype, y));
  const Bytes width = blocks.inner * DTypeBytes(x.dtype);
  const Chunks chunks = ChunksOf(blocks.outer * indices.count(), width, 4 * kGrain);
  return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
    WSI_RETURN_IF_ERROR(indices.Check(a));
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t row = r / indices.count() * blocks.size + indices.At(a, r % indices.count());
        std::memcpy(a.outputs[0] + r * width, a.inputs[0] + row * width,
                    static_cast<size_t>(width));
      }
    });
    return {};
  });
}

KernelResult CompileGatherGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const OperandSpec& dx = launch.outputs[0];
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, dx.dtype));
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch, dx.shape));
  const Blocks blocks = BlocksAlong(dx.shape, axis);
  WSI_ASSIGN_OR_RETURN(const Indices indices, Indices::Make(launch, blocks.size));
  if (launch.inputs[0].shape.ElementCount() != blocks.outer * indices.count() * blocks.inner) {
    return CompileError(launch, "dy has not one slice for each index");
  }
  // Columns are apart, so that what is added to one element keeps its order.
  const Chunks columns = ChunksOf(blocks.inner, std::max(blocks.size, indices.count()) * 2, kGrain);
  return ForElementType(dx.dtype, [&]<typename T>(std::type_identity<T>) -> KernelResult {
    using Sum = typename ColumnSums<T>::Sum;
    WSI_RETURN_IF_ERROR(ColumnSums<T>::Require(context.scratch, blocks.size, columns));
    return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
      WSI_RETURN_IF_ERROR(indices.Check(a));
      context.pool.ParallelFor(blocks.outer * columns.count(), [&](int64_t chunk, int worker) {
        const int64_t outer = chunk / columns.count();
        const int64_t begin = columns.begin(chunk % columns.count());
        const int64_t width = columns.end(chunk % columns.count()) - begin;
        const ColumnSums<T> sums(a.output<T>(0) + outer * blocks.size * blocks.inner + begin,
                                 blocks.size, blocks.inner, width, context.scratch, worker);
        const T* y = a.input<T>(0) + outer * indices.count() * blocks.inner + begin;
        for (int64_t i = 0; i < indices.count(); ++i) {
          Sum* sum = sums.Row(indices.At(a, i));
          const T* row = y + i * blocks.inner;
          for (int64_t j = 0; j < width; ++j) {
            sum[j] = WrappingAdd(sum[j], static_cast<Sum>(row[j]));
          }
        }
        sums.Store();
      });
      return {};
    });
  });
}

KernelResult CompileGatherElements(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype, launch.inputs[1].shape));
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch, x.shape));
  WSI_ASSIGN_OR_RETURN(const Indices indices, Indices::Make(launch, x.shape[axis]));
  WSI_ASSIGN_OR_RETURN(const Pairing pairing,
                       MakePairing(launch, x.shape, launch.inputs[1].shape, axis));
  const Chunks chunks = ChunksOf(pairing.lines.count, pairing.lines.size * 4, kGrain);
  return ForElementType(x.dtype, [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=, &context](const LaunchArguments& a) -> Status {
      WSI_RETURN_IF_ERROR(indices.Check(a));
      ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
        for (int64_t l = begin; l < end; ++l) {
          const int64_t first = pairing.lines.Start(l);
          const T* from = a.input<T>(0) + pairing.Start(l);
          for (int64_t j = 0; j < pairing.lines.size; ++j) {
            const int64_t at = first + j * pairing.lines.stride;
            a.output<T>(0)[at] = from[indices.At(a, at) * pairing.stride];
          }
        }
      });
      return {};
    });
  });
}

KernelResult CompileScatterElements(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  const OperandSpec& x = launch.inputs[0];
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, x.dtype, launch.inputs[1].shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, x.dtype, x.shape));
  WSI_ASSIGN_OR_RETURN(const int axis, AxisOf(launch, x.shape));
  WSI_ASSIGN_OR_RETURN(const Indices indices, Indices::Make(launch, x.shape[axis]));
  WSI_ASSIGN_OR_RETURN(const Pairing pairing,
                       MakePairing(launch, x.shape, launch.inputs[1].shape, axis));
  const std::string reduction = launch.attributes.String("reduction", "none");
  return ForElementType(x.dtype, [&]<typename T>(std::type_identity<T>) -> KernelResult {
    if constexpr (kIsHalf<T>) {
      if (reduction == "add" || reduction == "mul") {
        return Scatter<T>(pairing, indices, x.shape, FindReduction<float>(reduction), context);
      }
    }
    const Reduce<T> reduce = FindReduction<T>(reduction);
    if (reduce == nullptr) return CompileError(launch, "unknown reduction " + reduction);
    return Scatter<T>(pairing, indices, x.shape, reduce, context);
  });
}

}  // namespace wsi::cpu
