// One product of matrices by cuBLASLt, sums in fp32 (fp64 for fp64). cuBLASLt's matrices have
// columns in one piece: a row-major one is its own transpose there, so that
//   y = a b  is computed as  y' = b' a'.
#pragma once

#include <array>

#include "runtime/backends/cuda/linear.h"
#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"

namespace wsi::cuda {

// Row-major, as stored: rows x columns, `leading` elements from row to row, in `count` copies
// `stride` elements apart.
struct Matrix {
  int64_t rows = 1;
  int64_t columns = 1;
  bool transposed = false;
  int64_t leading = 1;
  int64_t count = 1;
  int64_t stride = 0;
  Bytes alignment = 256;  // Of where copies begin.
};

// With everything that cuBLASLt wants to know of it.
class Product {
 public:
  Product(const CublasLtLibrary& library, cublasLtHandle_t handle)
      : library_(library), handle_(handle) {}
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // y = alpha * a b + beta * y. `workspace`: bytes that it may take.
  Status Prepare(const Matrix& a, const Matrix& b, const Matrix& y, DType type, DType result,
                 double alpha, double beta, Bytes workspace);
  // `workspace` has as many bytes as Prepare was given.
  Status Run(const std::byte* a, const std::byte* b, std::byte* y, std::byte* workspace,
             cudaStream_t stream) const;

 private:
  void SetScalar(std::array<double, 1>& to, double value) const;
  Status SetTranspose(cublasLtMatmulDescAttributes_t name, bool transposed);
  Status MakeLayout(const Matrix& m, DType dtype, cublasLtMatrixLayout_t* layout);
  Status ChooseAlgorithm(const std::array<const Matrix*, 3>& matrices);
  Status SetPreference(cublasLtMatmulPreference_t preference,
                       const std::array<const Matrix*, 3>& matrices);

  const CublasLtLibrary& library_;
  cublasLtHandle_t handle_;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr;
  cublasLtMatrixLayout_t b_ = nullptr;
  cublasLtMatrixLayout_t y_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  size_t workspace_bytes_ = 0;
  bool wide_ = false;
  std::array<double, 1> alpha_{};
  std::array<double, 1> beta_{};
};

}  // namespace wsi::cuda
