// Operators that read or write where an integer tensor says.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/backends/reference/element_types.h"
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/walk.h"
#include "runtime/backends/rows.h"

namespace wsi::reference {
namespace {

// Position `i` of input 1, from the front, along an axis of `size`.
Result<int64_t> IndexAt(const LaunchArguments& arguments, bool wide, int64_t i, int64_t size) {
  const int64_t index = wide ? arguments.input<int64_t>(1)[i] : arguments.input<int32_t>(1)[i];
  if (index >= -size && index < size) return index < 0 ? index + size : index;
  return InvalidInput(fmt::format("index {} is outside an axis of size {}", index, size));
}

// Whether the indices are i64; else they are i32.
bool WideIndices(LaunchCheck& check) {
  const DType dtype = check.input_type(1);
  check.Require(dtype == DType::kI64 || dtype == DType::kI32, "indices are neither i64 nor i32");
  return dtype == DType::kI64;
}

Shape WithAxis(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes[static_cast<size_t>(axis)] = size;
  return Shape::Make(sizes).value();
}

// Calls f(i, at) for every element i of the indices, where `at` is the element of a tensor
// of shape `x` that index i stands for along the axis; the first error of f ends it.
template <typename F>
Status ForEachIndexed(const LaunchArguments& arguments, bool wide, const Shape& x,
                      const Shape& indices, int axis, F f) {
  Walk<2> walk{indices.rank(), Sizes(indices), {RowMajor(indices), RowMajor(x)}, {}};
  const int64_t stride = walk.strides[1][static_cast<size_t>(axis)];
  walk.strides[1][static_cast<size_t>(axis)] = 0;
  Status status;
  ForEach(walk, [&](const std::array<int64_t, 2>& at) {
    const Result<int64_t> index = IndexAt(arguments, wide, at[0], x[axis]);
    if (index.ok()) {
      f(at[0], at[1] + *index * stride);
    } else if (status.ok()) {
      status = index.status();
    }
  });
  return status;
}

void WantWithin(LaunchCheck& check, const Shape& x, const Shape& indices, int axis) {
  bool fits = indices.rank() == x.rank();
  for (int a = 0; fits && a < x.rank(); ++a) fits = a == axis || indices[a] <= x[a];
  check.Require(fits, "indices do not lie within the tensor");
}

}  // namespace

KernelResult CompileGather(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  const int axis = check.Axis("axis", check.input(0).rank());
  const bool wide = WideIndices(check);
  check.Require(check.input(1).rank() == 1, "indices are no list");
  WSI_RETURN_IF_ERROR(check.status());
  const int64_t count = check.input(1)[0];
  check.OutputIs(0, WithAxis(check.input(0), axis, count));
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.input(0), axis);
  const int64_t width = rows.inner_count * DTypeBytes(check.input_type(0));
  return MakeKernel([=](const LaunchArguments& arguments) -> Status {
    for (int64_t i = 0; i < count; ++i) {
      WSI_ASSIGN_OR_RETURN(const int64_t index, IndexAt(arguments, wide, i, rows.length));
      for (int64_t outer = 0; outer < rows.outer_count; ++outer) {
        std::memcpy(arguments.outputs[0] + (outer * count + i) * width,
                    arguments.inputs[0] + (outer * rows.length + index) * width,
                    static_cast<size_t>(width));
      }
    }
    return {};
  });
}

KernelResult CompileGatherGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F*", "F"));
  const Shape& dy = check.input(0);
  const int axis = check.Axis("axis", dy.rank());
  const bool wide = WideIndices(check);
  check.Require(check.input(1).rank() == 1, "indices are no list");
  WSI_RETURN_IF_ERROR(check.status());
  check.InputIs(0, WithAxis(check.output(0), axis, check.input(1)[0]));
  WSI_RETURN_IF_ERROR(check.status());
  const Rows rows = RowsAlong(check.output(0), axis);
  const int64_t count = check.input(1)[0];
  const int64_t elements = check.output(0).ElementCount();
  return MakeKernel([=](const LaunchArguments& arguments) -> Status {
    const double* from = arguments.input<double>(0);
    double* dx = arguments.output<double>(0);
    std::fill_n(dx, elements, 0.0);
    for (int64_t i = 0; i < count; ++i) {
      WSI_ASSIGN_OR_RETURN(const int64_t index, IndexAt(arguments, wide, i, rows.length));
      for (int64_t outer = 0; outer < rows.outer_count; ++outer) {
        for (int64_t inner = 0; inner < rows.inner_count; ++inner) {
          dx[(outer * rows.length + index) * rows.inner_count + inner] +=
              from[(outer * count + i) * rows.inner_count + inner];
        }
      }
    }
    return {};
  });
}

KernelResult CompileGatherElements(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  const Shape x = check.input(0);
  const Shape indices = check.input(1);
  const int axis = check.Axis("axis", x.rank());
  const bool wide = WideIndices(check);
  WantWithin(check, x, indices, axis);
  check.OutputIs(0, indices);
  check.OutputIs(0, check.input_type(0));
  WSI_RETURN_IF_ERROR(check.status());
  const auto width = static_cast<size_t>(DTypeBytes(check.input_type(0)));
  return MakeKernel([=](const LaunchArguments& arguments) {
    return ForEachIndexed(arguments, wide, x, indices, axis, [&](int64_t i, int64_t at) {
      std::memcpy(arguments.outputs[0] + static_cast<size_t>(i) * width,
                  arguments.inputs[0] + static_cast<size_t>(at) * width, width);
    });
  });
}

KernelResult CompileScatterElements(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("***", "*"));
  const Shape x = check.input(0);
  const Shape indices = check.input(1);
  const int axis = check.Axis("axis", x.rank());
  const bool wide = WideIndices(check);
  WantWithin(check, x, indices, axis);
  check.InputIs(2, indices);
  check.InputIs(2, check.input_type(0));
  check.OutputIs(0, x);
  check.OutputIs(0, check.input_type(0));
  const std::string reduction(check.String("reduction", "none"));
  WSI_RETURN_IF_ERROR(check.status());
  const auto bytes = static_cast<size_t>(x.ByteCount(check.input_type(0)));
  return ForElementType(check, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([=](const LaunchArguments& arguments) {
      if (bytes > 0) std::memmove(arguments.outputs[0], arguments.inputs[0], bytes);
      return ForEachIndexed(arguments, wide, x, indices, axis, [&](int64_t i, int64_t at) {
        const T update = arguments.input<T>(2)[i];
        T& element = arguments.output<T>(0)[at];
        if (reduction == "none") element = update;
        if (reduction == "add") element = Sum(element, update);
        if (reduction == "mul") element = Product(element, update);
        if (reduction == "max") element = Larger(element, update);
        if (reduction == "min") element = Smaller(element, update);
      });
    });
  });
}

}  // namespace wsi::reference
