// cuBLASLt, opened when first needed.
#pragma once

#include <memory>
#include <optional>

#include "runtime/backends/cuda/libraries.h"

namespace wsi::cuda {

class Product;

class CublasLt {
 public:
  CublasLt() = default;
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;
  // One that is still to be prepared. Borrows this object.
  Result<std::unique_ptr<Product>> MakeProduct();

 private:
  Status Open();

  std::optional<CublasLtLibrary> library_;
  cublasLtHandle_t handle_ = nullptr;
};

}  // namespace wsi::cuda
