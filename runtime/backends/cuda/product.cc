#include "runtime/backends/cuda/product.h"

#include <fmt/format.h>

#include <algorithm>

namespace wsi::cuda {
namespace {

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

}  // namespace

Product::~Product() {
  for (cublasLtMatrixLayout_t layout : {a_, b_, y_}) {
    if (layout != nullptr) library_.cublasLtMatrixLayoutDestroy(layout);
  }
  if (description_ != nullptr) library_.cublasLtMatmulDescDestroy(description_);
}

Status Product::Prepare(const Matrix& a, const Matrix& b, const Matrix& y, DType type, DType result,
                        double alpha, double beta, Bytes workspace) {
  workspace_bytes_ = static_cast<size_t>(workspace);
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
  return ChooseAlgorithm({&b, &a, &y});
}

Status Product::Run(const std::byte* a, const std::byte* b, std::byte* y, std::byte* workspace,
                    cudaStream_t stream) const {
  return ToStatus(
      library_.cublasLtMatmul(handle_, description_, alpha_.data(), b, b_, a, a_, beta_.data(), y,
                              y_, y, y_, &algorithm_, workspace, workspace_bytes_, stream),
      "product");
}

// In the type of the scale.
void Product::SetScalar(std::array<double, 1>& to, double value) const {
  to[0] = value;
  const auto narrow = static_cast<float>(value);
  if (!wide_) {
    std::copy_n(reinterpret_cast<const char*>(&narrow), sizeof(narrow),
                reinterpret_cast<char*>(to.data()));
  }
}

Status Product::SetTranspose(cublasLtMatmulDescAttributes_t name, bool transposed) {
  const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  return ToStatus(
      library_.cublasLtMatmulDescSetAttribute(description_, name, &operation, sizeof(operation)),
      "transpose");
}

// `m` as stored: its rows are cuBLASLt's columns.
Status Product::MakeLayout(const Matrix& m, DType dtype, cublasLtMatrixLayout_t* layout) {
  WSI_RETURN_IF_ERROR(ToStatus(
      library_.cublasLtMatrixLayoutCreate(layout, CudaType(dtype), static_cast<uint64_t>(m.columns),
                                          static_cast<uint64_t>(m.rows), m.leading),
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

Status Product::ChooseAlgorithm(const std::array<const Matrix*, 3>& matrices) {
  cublasLtMatmulPreference_t preference = nullptr;
  WSI_RETURN_IF_ERROR(ToStatus(library_.cublasLtMatmulPreferenceCreate(&preference), "preference"));
  Status status = SetPreference(preference, matrices);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  if (status.ok()) {
    status = ToStatus(library_.cublasLtMatmulAlgoGetHeuristic(handle_, description_, b_, a_, y_, y_,
                                                              preference, 1, &found, &count),
                      "choice of algorithm");
  }
  library_.cublasLtMatmulPreferenceDestroy(preference);
  WSI_RETURN_IF_ERROR(status);
  if (count == 0) return DeviceError("cuBLASLt has no algorithm for it");
  algorithm_ = found.algo;
  return {};
}

Status Product::SetPreference(cublasLtMatmulPreference_t preference,
                              const std::array<const Matrix*, 3>& matrices) {
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    return ToStatus(
        library_.cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value)),
        "preference");
  };
  WSI_RETURN_IF_ERROR(
      set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes_)));
  // Parts of a sum are not rounded to halves before they are added.
  WSI_RETURN_IF_ERROR(set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                          static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)));
  constexpr std::array<cublasLtMatmulPreferenceAttributes_t, 3> kNames = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  for (size_t i = 0; i < kNames.size(); ++i) {
    const auto alignment = static_cast<uint32_t>(matrices[i]->alignment);
    WSI_RETURN_IF_ERROR(set(kNames[i], alignment));
    if (i == 2) WSI_RETURN_IF_ERROR(set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment));
  }
  return {};
}

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

}  // namespace wsi::cuda
