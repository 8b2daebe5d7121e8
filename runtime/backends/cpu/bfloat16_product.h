// Matrix products of bfloat16 with fp32 results, by oneDNN on the calling thread.
#pragma once

#include <dnnl.hpp>
#include <vector>

#include "runtime/backends/cpu/onednn.h"
#include "runtime/base/checked.h"

namespace wsi::cpu {

// y[m, n] = sum over k of a[m, k] * b[k, n], any strides.
struct ProductGeometry {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t a_strides[2] = {0, 0};  // Of m and k, in elements; one of them is 1.
  int64_t b_strides[2] = {0, 0};  // Of k and n; one of them is 1.
  int64_t y_stride = 0;           // Of m.
  bool operator==(const ProductGeometry&) const = default;
};

class BFloat16Product {
 public:
  // REQUIRES: m, n and k are at least 1.
  static Result<BFloat16Product> Make(const DnnlRuntime& runtime, const ProductGeometry& geometry);

  const ProductGeometry& geometry() const { return geometry_; }
  Bytes scratchpad_bytes() const { return scratchpad_bytes_; }
  // `worker` names the calling thread; allocates nothing of its own.
  Status Run(const DnnlRuntime& runtime, int worker, const void* a, const void* b, float* y,
             void* scratchpad) const;

 private:
  struct Operands {
    dnnl::memory a;
    dnnl::memory b;
    dnnl::memory y;
    dnnl::memory scratchpad;
  };
  ProductGeometry geometry_;
  dnnl::matmul primitive_;
  Bytes scratchpad_bytes_ = 0;
  std::vector<Operands> operands_;  // One per worker.
};

// The product of that geometry in `products`, made if there is none yet.
Result<size_t> FindOrMake(const DnnlRuntime& runtime, const ProductGeometry& geometry,
                          std::vector<BFloat16Product>& products);

}  // namespace wsi::cpu
