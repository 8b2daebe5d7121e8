// A kernel made of a function object, as the backends' compile functions return it.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "runtime/backends/backend.h"

namespace wsi {

using KernelResult = Result<std::unique_ptr<Kernel>>;

// A kernel that calls `run`, a Status(const LaunchArguments&) or a void one.
template <typename F>
KernelResult MakeKernel(F run) {
  class FunctionKernel final : public Kernel {
   public:
    explicit FunctionKernel(F f) : run_(std::move(f)) {}
    Status Run(const LaunchArguments& arguments) override {
      if constexpr (std::is_void_v<decltype(run_(arguments))>) {
        run_(arguments);
        return {};
      } else {
        return run_(arguments);
      }
    }

   private:
    F run_;
  };
  return std::unique_ptr<Kernel>(std::make_unique<FunctionKernel>(std::move(run)));
}

}  // namespace wsi
