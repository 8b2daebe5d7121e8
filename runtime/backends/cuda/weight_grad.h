// Weight gradients of convolutions in half precision, by own kernels on Hopper's tensor cores.
#pragma once

#include <functional>
#include <limits>
#include <optional>

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/window.h"

namespace wsi::cuda {

// One of them, channels last.
class WeightGrad {
 public:
  // How many ways there are to cut the result into the tiles of blocks.
  static size_t TilingCount(const Window& window, int64_t groups);
  // kInvalidInput where dy is empty or a size above 2^29. WANTS: f16 or bf16.
  // `tiling`: below TilingCount; the fastest by the cost model where not given. `most`: of
  // the workspace; any is enough.
  static Result<WeightGrad> Make(const Window& window, int64_t groups, DType dtype,
                                 std::optional<size_t> tiling = std::nullopt,
                                 Bytes most = std::numeric_limits<Bytes>::max());

  Bytes workspace_bytes() const { return workspace_bytes_; }
  // dw: fp32. `workspace` has workspace_bytes(), aligned to 256.
  Status Run(const void* x, const void* dy, float* dw, float* workspace,
             cudaStream_t stream) const {
    return run_(x, dy, dw, workspace, stream);
  }

 private:
  std::function<Status(const void*, const void*, float*, float*, cudaStream_t)> run_;
  Bytes workspace_bytes_ = 0;
};

// A kernel of inputs x and dy and output dw.
KernelResult MakeWeightGrad(const LaunchSpec& launch, const Window& window, int64_t groups,
                            Context& context);

}  // namespace wsi::cuda
