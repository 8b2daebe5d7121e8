// Matrix products by cuBLASLt, sums in fp32 (fp64 for fp64). cuBLASLt's matrices have
// columns in one piece: a row-major one is its own transpose there, so that
//   y = a b  is computed as  y' = b' a'.
#include "runtime/backends/cuda/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/merged_axes.h"

namespace wsi::cuda {
namespace {

constexpr Bytes kWorkspace = Bytes{32} << 20;

Status ToStatus(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return {};
  return DeviceError(fmt::format("cuBLASLt: {}: error {}", call, static_cast<int>(status)));
}

cudaDataType_t CudaType(DType dtype) {
  switch (dtype) {
    case DType::kF16: return CUDA_R_16F;
    case DType::kBF16: return CUDA_R_16BF;
    case DType::kF64: return CUDA_R_64F;
    default: return CUDA_R_32F;
  }
}

// Row-major: rows x columns, in `count` copies `stride` elements apart.
struct Matrix {
  int64_t rows = 1;
  int64_t columns = 1;
  bool transposed = false;
  int64_t count = 1;
  int64_t stride = 0;
};

}  // namespace

// One product, with everything that cuBLASLt wants to know of it.
class Product {
 public:
  Product(const CublasLtLibrary& library, cublasLtHandle_t handle)
      : library_(library), handle_(handle) {}
  ~Product() {
    for (cublasLtMatrixLayout_t layout : {a_, b_, y_}) {
      if (layout != nullptr) library_.cublasLtMatrixLayoutDestroy(layout);
    }
    if (description_ != nullptr) library_.cublasLtMatmulDescDestroy(description_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // y = alpha * a b + beta * y
  Status Prepare(const Matrix& a, const Matrix& b, const Matrix& y, DType type, DType result,
                 double alpha, double beta) {
    wide_ = type == DType::kF64;
    SetScalar(alpha_, alpha);
    SetScalar(beta_, beta);
    WSI_RETURN_IF_ERROR(ToStatus(library_.cublasLtMatmulDescCreate(
                                     &description_, wide_ ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                     wide_ ? CUDA_R_64F : CUDA_R_32F),
                                 "description"));
    WSI_RETURN_IF_ERROR(SetTranspose(CUBLASLT_MATMUL_DESC_TRANSA, b.transposed));
    WSI_RETURN_IF_ERROR(SetTranspose(CUBLASLT_MATMUL_DESC_TRANSB, a.transposed));
    WSI_RETURN_IF_ERROR(MakeLayout(b, type, &b_));
    WSI_RETURN_IF_ERROR(MakeLayout(a, type, &a_));
    WSI_RETURN_IF_ERROR(MakeLayout(y, result, &y_));
    return ChooseAlgorithm({&b, &a, &y}, type, result);
  }

  Status Run(const std::byte* a, const std::byte* b, std::byte* y, std::byte* workspace,
             cudaStream_t stream) const {
    return ToStatus(library_.cublasLtMatmul(handle_, description_, alpha_.data(), b, b_, a, a_,
                                            beta_.data(), y, y_, y, y_, &algorithm_, workspace,
                                            static_cast<size_t>(kWorkspace), stream),
                    "product");
  }

 private:
  // In the type of the scale.
  void SetScalar(std::array<double, 1>& to, double value) const {
    to[0] = value;
    const auto narrow = static_cast<float>(value);
    if (!wide_)
      std::copy_n(reinterpret_cast<const char*>(&narrow), sizeof(narrow),
                  reinterpret_cast<char*>(to.data()));
  }
  Status SetTranspose(cublasLtMatmulDescAttributes_t name, bool transposed) {
    const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    return ToStatus(
        library_.cublasLtMatmulDescSetAttribute(description_, name, &operation, sizeof(operation)),
        "transpose");
  }
  // `m` as stored: its rows are cuBLASLt's columns.
  Status MakeLayout(const Matrix& m, DType dtype, cublasLtMatrixLayout_t* layout) {
    WSI_RETURN_IF_ERROR(ToStatus(library_.cublasLtMatrixLayoutCreate(
                                     layout, CudaType(dtype), static_cast<uint64_t>(m.columns),
                                     static_cast<uint64_t>(m.rows), m.columns),
                                 "layout"));
    const auto count = static_cast<int32_t>(m.count);
    WSI_RETURN_IF_ERROR(
        ToStatus(library_.cublasLtMatrixLayoutSetAttribute(
                     *layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
                 "batch"));
    return ToStatus(
        library_.cublasLtMatrixLayoutSetAttribute(
            *layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.stride, sizeof(m.stride)),
        "batch stride");
  }

  Status ChooseAlgorithm(const std::array<const Matrix*, 3>& matrices, DType type, DType result) {
    cublasLtMatmulPreference_t preference = nullptr;
    WSI_RETURN_IF_ERROR(
        ToStatus(library_.cublasLtMatmulPreferenceCreate(&preference), "preference"));
    Status status = SetPreference(preference, matrices, type, result);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    if (status.ok()) {
      status = ToStatus(library_.cublasLtMatmulAlgoGetHeuristic(handle_, description_, b_, a_, y_,
                                                                y_, preference, 1, &found, &count),
                        "choice of algorithm");
    }
    library_.cublasLtMatmulPreferenceDestroy(preference);
    WSI_RETURN_IF_ERROR(status);
    if (count == 0) return DeviceError("cuBLASLt has no algorithm for it");
    algorithm_ = found.algo;
    return {};
  }

  Status SetPreference(cublasLtMatmulPreference_t preference,
                       const std::array<const Matrix*, 3>& matrices, DType type, DType result) {
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      return ToStatus(
          library_.cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value)),
          "preference");
    };
    WSI_RETURN_IF_ERROR(
        set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kWorkspace)));
    constexpr std::array<cublasLtMatmulPreferenceAttributes_t, 3> kNames = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (size_t i = 0; i < kNames.size(); ++i) {
      // Matrices of a batch begin where the one before them ends.
      const Bytes size =
          matrices[i]->rows * matrices[i]->columns * DTypeBytes(i == 2 ? result : type);
      uint32_t alignment = 256;
      while (size % alignment != 0) alignment /= 2;
      WSI_RETURN_IF_ERROR(set(kNames[i], alignment));
      if (i == 2) {
        WSI_RETURN_IF_ERROR(set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment));
      }
    }
    return {};
  }

  const CublasLtLibrary& library_;
  cublasLtHandle_t handle_;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr;
  cublasLtMatrixLayout_t b_ = nullptr;
  cublasLtMatrixLayout_t y_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  bool wide_ = false;
  std::array<double, 1> alpha_{};
  std::array<double, 1> beta_{};
};

CublasLt::~CublasLt() {
  if (handle_ != nullptr) library_->cublasLtDestroy(handle_);
}

Status CublasLt::Open() {
  if (handle_ != nullptr) return {};
  WSI_ASSIGN_OR_RETURN(library_, CublasLtLibrary::Open());
  return ToStatus(library_->cublasLtCreate(&handle_), "cublasLtCreate");
}

Result<std::unique_ptr<Product>> CublasLt::MakeProduct() {
  WSI_RETURN_IF_ERROR(Open());
  return std::make_unique<Product>(*library_, handle_);
}

namespace {

// Checks that one operand's type is the other's, and the result's that or f32.
void CheckTypes(LaunchCheck& check) {
  check.InputIs(1, check.input_type(0));
  check.InputIs(2, check.input_type(0));
  if (check.output_type(0) != DType::kF32) check.OutputIs(0, check.input_type(0));
}

// Where a, b and y of each product of a launch begin, in bytes.
using Batches = std::vector<std::array<Bytes, 3>>;

KernelResult MakeProductKernel(const LaunchSpec& launch, std::unique_ptr<Product> product,
                               Batches batches, std::unique_ptr<Kernel> addend, Context& context) {
  WSI_RETURN_IF_ERROR(context.scratch.Require(kWorkspace));
  if (launch.outputs[0].shape.ElementCount() == 0) {
    return MakeKernel([](const LaunchArguments&) {});
  }
  return MakeKernel([product = std::move(product), batches = std::move(batches),
                     addend = std::move(addend), &context](const LaunchArguments& a) -> Status {
    if (addend != nullptr) {
      const std::array<const std::byte*, 1> inputs = {a.inputs[2]};
      WSI_RETURN_IF_ERROR(addend->Run({.inputs = inputs, .outputs = a.outputs}));
    }
    for (const auto& at : batches) {
      WSI_RETURN_IF_ERROR(product->Run(a.inputs[0] + at[0], a.inputs[1] + at[1],
                                       a.outputs[0] + at[2], context.scratch.at<std::byte>(0),
                                       context.stream));
    }
    return {};
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

Matrix LastTwo(const Shape& shape, bool transposed) {
  return {.rows = shape[-2], .columns = shape[-1], .transposed = transposed};
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
  const Matrix a = LastTwo(check.input(0), check.Flag("transA"));
  const Matrix b = LastTwo(check.input(1), check.Flag("transB"));
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
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Product> product, context.cublas.MakeProduct());
  if (result.ElementCount() > 0) {
    const Status prepared =
        product->Prepare(a, b, {.rows = result[0], .columns = result[1]}, check.input_type(0),
                         check.output_type(0), alpha, beta);
    if (!prepared.ok()) return prepared.WithContext(FaultText(launch, "no product"));
  }
  return MakeProductKernel(launch, std::move(product), {{0, 0, 0}}, std::move(addend), context);
}

KernelResult CompileMatMul(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FF", "F"));
  check.Require(check.input(0).rank() > 0 && check.input(1).rank() > 0, "an operand is a scalar");
  CheckTypes(check);
  WSI_RETURN_IF_ERROR(check.status());
  const Shape left = AsMatrix(check.input(0), true);
  const Shape right = AsMatrix(check.input(1), false);
  Matrix a = LastTwo(left, check.input(0).rank() > 1 && check.Flag("transA"));
  Matrix b = LastTwo(right, check.input(1).rank() > 1 && check.Flag("transB"));
  check.Require(ColumnsOf(a) == RowsOf(b), "the inner sizes differ");
  check.Require(ColumnsOf(a) > 0, "the inner size is 0");
  WSI_ASSIGN_OR_RETURN(const Shape batch,
                       BroadcastShapes(WithoutLast(left, 2), WithoutLast(right, 2)));
  Matrix y = {.rows = RowsOf(a), .columns = ColumnsOf(b)};
  check.Require(check.output(0).ElementCount() == batch.ElementCount() * y.rows * y.columns,
                "the output does not fit the product");
  WSI_RETURN_IF_ERROR(check.status());
  const std::vector<AxisArray> strides = {Broadcast(WithoutLast(left, 2), batch),
                                          Broadcast(WithoutLast(right, 2), batch), RowMajor(batch)};
  const MergedAxes axes = MergeAxes(batch, strides);
  // The innermost axis is cuBLASLt's batch; a product for each place of the others.
  const std::array<Matrix*, 3> matrices = {&a, &b, &y};
  const std::array<Bytes, 3> elements = {DTypeBytes(check.input_type(0)),
                                         DTypeBytes(check.input_type(0)),
                                         DTypeBytes(check.output_type(0))};
  for (size_t m = 0; m < 3; ++m) {
    matrices[m]->count = axes.sizes.back();
    matrices[m]->stride = axes.strides[m].back() * matrices[m]->rows * matrices[m]->columns;
  }
  check.Require(axes.sizes.back() <= INT32_MAX, "has 2^31 matrices or more");
  WSI_RETURN_IF_ERROR(check.status());
  Batches batches;
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
    batches.push_back(at);
  }
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Product> product, context.cublas.MakeProduct());
  if (check.output(0).ElementCount() > 0) {
    const Status prepared =
        product->Prepare(a, b, y, check.input_type(0), check.output_type(0), 1, 0);
    if (!prepared.ok()) return prepared.WithContext(FaultText(launch, "no product"));
  }
  return MakeProductKernel(launch, std::move(product), std::move(batches), nullptr, context);
}

}  // namespace wsi::cuda
