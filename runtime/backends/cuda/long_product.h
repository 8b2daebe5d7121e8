// Products whose sums run over very many terms, such as gradients of weights over all
// positions of an image: slabs of terms, added up in fp64.
#pragma once

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/product_parts.h"

namespace wsi::cuda {

// What a launch computes: y = alpha * a b + beta * y.
struct ProductProblem {
  ProductShape shape;
  DType type = DType::kF32;
  DType result = DType::kF32;
  double alpha = 1;
  double beta = 0;
};

// Where a copy's matrices begin, in bytes.
struct CopyPlace {
  Bytes a = 0, b = 0, y = 0;
};

inline bool IsLong(const ProductProblem& p) { return IsLongSum(p.shape.K(), p.type); }
// A kernel of inputs a and b and output y for the copies at `places`, whose workspace is laid
// out by LayOutProduct with `library` bytes at its end. WANTS: IsLong.
KernelResult MakeLongProduct(const ProductProblem& problem, std::vector<CopyPlace> places,
                             Bytes library, Context& context);

}  // namespace wsi::cuda
