// Matrix products.
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/walk.h"

namespace wsi::reference {
namespace {

// A matrix inside a tensor: element (i, j) lies at i * row + j * column.
struct Matrix {
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t row = 0;
  int64_t column = 0;
};

// The last two axes of `shape`. REQUIRES: rank >= 2.
Matrix LastTwo(const Shape& shape, bool transpose) {
  const Matrix m{shape[-2], shape[-1], shape[-1], 1};
  return transpose ? Matrix{m.columns, m.rows, m.column, m.row} : m;
}

double Dot(const double* a, const Matrix& ma, int64_t i, const double* b, const Matrix& mb,
           int64_t j) {
  double sum = 0;
  for (int64_t k = 0; k < ma.columns; ++k) {
    sum += a[i * ma.row + k * ma.column] * b[k * mb.row + j * mb.column];
  }
  return sum;
}

Shape WithoutLast(const Shape& shape, int count) {
  const auto sizes = shape.sizes();
  return Shape::Make(sizes.first(sizes.size() - static_cast<size_t>(count))).value();
}

// A vector is a row of a or a column of b.
Shape AsMatrix(const Shape& shape, bool row) {
  if (shape.rank() != 1) return shape;
  return row ? Shape{1, shape[0]} : Shape{shape[0], 1};
}

// Batch axes, then rows unless `a` was a vector, then columns unless `b` was.
Shape ProductShape(const Shape& batch, const Matrix& a, const Matrix& b, bool a_vector,
                   bool b_vector) {
  std::vector<int64_t> sizes(batch.begin(), batch.end());
  if (!a_vector) sizes.push_back(a.rows);
  if (!b_vector) sizes.push_back(b.columns);
  return Shape::Make(sizes).value();
}

}  // namespace

KernelResult CompileGemm(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFf", "F"));
  check.Require(check.input(0).rank() == 2 && check.input(1).rank() == 2, "operands of rank 2");
  WSI_RETURN_IF_ERROR(check.status());
  const Matrix a = LastTwo(check.input(0), check.Flag("transA"));
  const Matrix b = LastTwo(check.input(1), check.Flag("transB"));
  const double alpha = check.Float("alpha", 1);
  const double beta = check.Float("beta", 1);
  const Shape result{a.rows, b.columns};
  check.Require(a.columns == b.rows, "the inner sizes differ");
  check.OutputIs(0, result);
  AxisArray c_strides{};
  if (check.HasInput(2)) {
    const Result<Shape> stretched = BroadcastShapes(check.input(2), result);
    check.Require(stretched.ok() && *stretched == result, "c does not broadcast to the result");
    if (check.status().ok()) c_strides = Broadcast(check.input(2), result);
  }
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([a, b, alpha, beta, c_strides](const LaunchArguments& arguments) {
    const double* c = arguments.input<double>(2);
    double* y = arguments.output<double>(0);
    for (int64_t i = 0; i < a.rows; ++i) {
      for (int64_t j = 0; j < b.columns; ++j) {
        const double dot = Dot(arguments.input<double>(0), a, i, arguments.input<double>(1), b, j);
        const double bias = c != nullptr ? beta * c[i * c_strides[0] + j * c_strides[1]] : 0;
        y[i * b.columns + j] = alpha * dot + bias;
      }
    }
  });
}

KernelResult CompileMatMul(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  const bool a_vector = check.input(0).rank() == 1;
  const bool b_vector = check.input(1).rank() == 1;
  check.Require(check.input(0).rank() > 0 && check.input(1).rank() > 0, "an operand is a scalar");
  WSI_RETURN_IF_ERROR(check.status());
  const Shape left = AsMatrix(check.input(0), true);
  const Shape right = AsMatrix(check.input(1), false);
  const Matrix a = LastTwo(left, !a_vector && check.Flag("transA"));
  const Matrix b = LastTwo(right, !b_vector && check.Flag("transB"));
  check.Require(a.columns == b.rows, "the inner sizes differ");
  WSI_ASSIGN_OR_RETURN(const Shape batch,
                       BroadcastShapes(WithoutLast(left, 2), WithoutLast(right, 2)));
  check.OutputIs(0, ProductShape(batch, a, b, a_vector, b_vector));
  WSI_RETURN_IF_ERROR(check.status());
  Walk<3> walk{batch.rank(), Sizes(batch), {}, {}};
  walk.strides = {Broadcast(WithoutLast(left, 2), batch), Broadcast(WithoutLast(right, 2), batch),
                  RowMajor(batch)};
  return MakeKernel([a, b, walk](const LaunchArguments& arguments) {
    ForEach(walk, [&](const std::array<int64_t, 3>& at) {
      const double* x = arguments.input<double>(0) + at[0] * a.rows * a.columns;
      const double* w = arguments.input<double>(1) + at[1] * b.rows * b.columns;
      double* y = arguments.output<double>(0) + at[2] * a.rows * b.columns;
      for (int64_t i = 0; i < a.rows; ++i) {
        for (int64_t j = 0; j < b.columns; ++j) y[i * b.columns + j] = Dot(x, a, i, w, b, j);
      }
    });
  });
}

}  // namespace wsi::reference
