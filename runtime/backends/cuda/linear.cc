// Matrix products by cuBLASLt, in the parts of product_parts.h.
#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/long_product.h"
#include "runtime/backends/cuda/merged_axes.h"

namespace wsi::cuda {
namespace {

// Checks that one operand's type is the other's, and the result's that or f32.
void CheckTypes(LaunchCheck& check) {
  check.InputIs(1, check.input_type(0));
  check.InputIs(2, check.input_type(0));
  if (check.output_type(0) != DType::kF32) check.OutputIs(0, check.input_type(0));
}

// Products of up to kMostTerms terms.
class ShortProduct final : public Kernel {
 public:
  ShortProduct(const ProductProblem& problem, std::vector<CopyPlace> places, Context& context)
      : problem_(problem), places_(std::move(places)), context_(context) {}

  // `workspace`: bytes that cuBLASLt may take.
  Status Prepare(Bytes workspace) {
    for (const ProductPart& part : CutResult(problem_.shape)) {
      const PartShape p = ShapeOf(problem_.shape, part);
      int64_t copy = 0;
      for (const int64_t copies : CutCopies(problem_.shape.y.count)) {
        WSI_ASSIGN_OR_RETURN(const Product* product, ProductOf(p.shape, copies, workspace));
        const auto place = [&](const Matrix& m, int64_t at, DType dtype) {
          return (copy * m.stride + at) * DTypeBytes(dtype);
        };
        steps_.push_back({product,
                          {.a = place(p.shape.a, p.a, problem_.type),
                           .b = place(p.shape.b, p.b, problem_.type),
                           .y = place(p.shape.y, p.y, problem_.result)}});
        copy += copies;
      }
    }
    return {};
  }

  Status Run(const LaunchArguments& a) override {
    for (const CopyPlace& place : places_) {
      for (const Step& step : steps_) {
        WSI_RETURN_IF_ERROR(
            step.product->Run(a.inputs[0] + place.a + step.at.a, a.inputs[1] + place.b + step.at.b,
                              a.outputs[0] + place.y + step.at.y, a.workspace, context_.stream));
      }
    }
    return {};
  }

 private:
  struct Step {
    const Product* product = nullptr;
    CopyPlace at;
  };

  Result<const Product*> ProductOf(ProductShape shape, int64_t copies, Bytes workspace) {
    std::unique_ptr<Product>& product = products_[{shape.M(), shape.N(), copies}];
    if (product == nullptr) {
      WSI_ASSIGN_OR_RETURN(product, context_.cublas.MakeProduct());
      shape.a.count = shape.b.count = shape.y.count = copies;
      WSI_RETURN_IF_ERROR(product->Prepare(shape.a, shape.b, shape.y, problem_.type,
                                           problem_.result, problem_.alpha, problem_.beta,
                                           workspace));
    }
    return product.get();
  }

  ProductProblem problem_;
  std::vector<CopyPlace> places_;
  Context& context_;
  std::map<std::array<int64_t, 3>, std::unique_ptr<Product>> products_;  // By M, N, copies.
  std::vector<Step> steps_;
};

// Of all copies one by one: where those of each place are.
std::vector<CopyPlace> SingleCopies(const ProductProblem& p, const std::vector<CopyPlace>& places) {
  const Bytes element = DTypeBytes(p.type);
  std::vector<CopyPlace> singles;
  for (const CopyPlace& place : places) {
    for (int64_t i = 0; i < p.shape.y.count; ++i) {
      singles.push_back({place.a + i * p.shape.a.stride * element,
                         place.b + i * p.shape.b.stride * element,
                         place.y + i * p.shape.y.stride * DTypeBytes(p.result)});
    }
  }
  return singles;
}

KernelResult MakeProducts(const ProductProblem& p, std::vector<CopyPlace> places, Bytes workspace,
                          Context& context) {
  if (IsLong(p)) return MakeLongProduct(p, SingleCopies(p, places), workspace, context);
  auto kernel = std::make_unique<ShortProduct>(p, std::move(places), context);
  WSI_RETURN_IF_ERROR(kernel->Prepare(workspace));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

// Runs `addend`, where there is one, with input 2, then `products`.
KernelResult MakeProductKernel(const LaunchSpec& launch, const ProductProblem& problem,
                               std::vector<CopyPlace> places, std::unique_ptr<Kernel> addend,
                               Context& context) {
  if (launch.outputs[0].shape.ElementCount() == 0) {
    return MakeKernel([](const LaunchArguments&) {});
  }
  const ProductShape& shape = problem.shape;
  const Bytes library = LayOutProduct(shape.M(), shape.N(), shape.K(), problem.type).library;
  WSI_RETURN_IF_ERROR(RequireWorkspace(launch, library));
  KernelResult products =
      MakeProducts(problem, std::move(places), launch.workspace_bytes - library, context);
  if (!products.ok()) return products.status().WithContext(FaultText(launch, "no product"));
  if (addend == nullptr) return products;
  return MakeKernel([products = *std::move(products),
                     addend = std::move(addend)](const LaunchArguments& a) -> Status {
    const std::array<const std::byte*, 1> inputs = {a.inputs[2]};
    WSI_RETURN_IF_ERROR(addend->Run({.inputs = inputs, .outputs = a.outputs}));
    return products->Run(a);
  });
}

// The kernel that writes c, broadcast, into y.
KernelResult MakeAddend(const LaunchSpec& launch, Context& context) {
  const Attributes none;
  return CompileBroadcast({.op = launch.op,
                           .node = launch.node,
                           .attributes = none,
                           .inputs = launch.inputs.subspan(2, 1),
                           .outputs = launch.outputs},
                          context);
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

// The last two axes. Copies begin where the ones before them end.
Matrix LastTwo(const Shape& shape, bool transposed, DType dtype) {
  Matrix m = {.rows = shape[-2],
              .columns = shape[-1],
              .transposed = transposed,
              .leading = std::max<int64_t>(shape[-1], 1)};
  const Bytes size = m.rows * m.columns * DTypeBytes(dtype);
  while (size % m.alignment != 0) m.alignment /= 2;
  return m;
}
int64_t RowsOf(const Matrix& m) { return m.transposed ? m.columns : m.rows; }
int64_t ColumnsOf(const Matrix& m) { return m.transposed ? m.rows : m.columns; }

}  // namespace

KernelResult CompileGemm(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FFf", "F"));
  check.Require(check.input(0).rank() == 2 && check.input(1).rank() == 2, "wants matrices");
  CheckTypes(check);
  WSI_RETURN_IF_ERROR(check.status());
  const DType type = check.input_type(0);
  const Matrix a = LastTwo(check.input(0), check.Flag("transA"), type);
  const Matrix b = LastTwo(check.input(1), check.Flag("transB"), type);
  const double alpha = check.Float("alpha", 1);
  const double beta = check.HasInput(2) ? check.Float("beta", 1) : 0;
  const Shape result{RowsOf(a), ColumnsOf(b)};
  check.Require(ColumnsOf(a) == RowsOf(b), "the inner sizes differ");
  check.Require(ColumnsOf(a) > 0, "the inner size is 0");
  check.OutputIs(0, result);
  std::unique_ptr<Kernel> addend;
  if (check.HasInput(2)) {
    const Result<Shape> stretched = BroadcastShapes(check.input(2), result);
    check.Require(stretched.ok() && *stretched == result, "c does not broadcast to the result");
    WSI_RETURN_IF_ERROR(check.status());
    if (beta != 0) {
      WSI_ASSIGN_OR_RETURN(addend, MakeAddend(launch, context));
    }
  }
  WSI_RETURN_IF_ERROR(check.status());
  const ProductProblem problem = {.shape = {a, b, LastTwo(result, false, check.output_type(0))},
                                  .type = type,
                                  .result = check.output_type(0),
                                  .alpha = alpha,
                                  .beta = beta};
  return MakeProductKernel(launch, problem, {CopyPlace()}, std::move(addend), context);
}

KernelResult CompileMatMul(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  check.Require(check.input(0).rank() > 0 && check.input(1).rank() > 0, "an operand is a scalar");
  CheckTypes(check);
  WSI_RETURN_IF_ERROR(check.status());
  const Shape left = AsMatrix(check.input(0), true);
  const Shape right = AsMatrix(check.input(1), false);
  const DType type = check.input_type(0);
  const DType result = check.output_type(0);
  Matrix a = LastTwo(left, check.input(0).rank() > 1 && check.Flag("transA"), type);
  Matrix b = LastTwo(right, check.input(1).rank() > 1 && check.Flag("transB"), type);
  check.Require(ColumnsOf(a) == RowsOf(b), "the inner sizes differ");
  check.Require(ColumnsOf(a) > 0, "the inner size is 0");
  WSI_ASSIGN_OR_RETURN(const Shape batch,
                       BroadcastShapes(WithoutLast(left, 2), WithoutLast(right, 2)));
  Matrix y = LastTwo({RowsOf(a), ColumnsOf(b)}, false, result);
  check.Require(check.output(0).ElementCount() == batch.ElementCount() * y.rows * y.columns,
                "the output does not fit the product");
  WSI_RETURN_IF_ERROR(check.status());
  const std::vector<AxisArray> strides = {Broadcast(WithoutLast(left, 2), batch),
                                          Broadcast(WithoutLast(right, 2), batch), RowMajor(batch)};
  const MergedAxes axes = MergeAxes(batch, strides);
  // The innermost axis is cuBLASLt's batch; a product for each place of the others.
  const std::array<Matrix*, 3> matrices = {&a, &b, &y};
  const std::array<Bytes, 3> elements = {DTypeBytes(type), DTypeBytes(type), DTypeBytes(result)};
  for (size_t m = 0; m < 3; ++m) {
    matrices[m]->count = axes.sizes.back();
    matrices[m]->stride = axes.strides[m].back() * matrices[m]->rows * matrices[m]->columns;
  }
  std::vector<CopyPlace> places;
  const int64_t outer = axes.Count() / std::max<int64_t>(axes.sizes.back(), 1);
  for (int64_t i = 0; i < outer; ++i) {
    std::array<Bytes, 3> at{};
    int64_t rest = i;
    for (size_t axis = axes.sizes.size() - 1; axis-- > 0;) {
      const int64_t along = rest % axes.sizes[axis];
      rest /= axes.sizes[axis];
      for (size_t m = 0; m < 3; ++m) {
        at[m] +=
            along * axes.strides[m][axis] * matrices[m]->rows * matrices[m]->columns * elements[m];
      }
    }
    places.push_back({at[0], at[1], at[2]});
  }
  const ProductProblem problem = {
      .shape = {a, b, y}, .type = type, .result = result, .alpha = 1, .beta = 0};
  return MakeProductKernel(launch, problem, std::move(places), nullptr, context);
}

}  // namespace wsi::cuda
