// A kernel whose errors, which may show long after its launch, name their instruction.
// Private to the executor.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "runtime/backends/backend.h"

namespace wsi {

class NamedKernel final : public Kernel {
 public:
  NamedKernel(std::string name, std::unique_ptr<Kernel> kernel)
      : name_(std::move(name)), kernel_(std::move(kernel)) {}
  Status Run(const LaunchArguments& arguments) override {
    Status status = kernel_->Run(arguments);
    return status.ok() ? status : status.WithContext(name_);
  }

 private:
  std::string name_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace wsi
