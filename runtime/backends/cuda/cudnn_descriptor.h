// Descriptors of cuDNN's graph API.
#pragma once

#include <string>
#include <vector>

#include "runtime/backends/cuda/libraries.h"

namespace wsi::cuda {

// Move-only. Borrows the library.
class CudnnDescriptor {
 public:
  static Result<CudnnDescriptor> Make(const CudnnLibrary& library,
                                      cudnnBackendDescriptorType_t type);
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept;
  ~CudnnDescriptor();

  cudnnBackendDescriptor_t get() const { return descriptor_; }

  Status Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
             const void* values);
  template <typename T>
  Status Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    return Set(name, type, 1, &value);
  }
  Status Set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  Status Set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values);
  Status Finalize();
  // Reads up to `capacity` values and returns how many there are.
  Result<int64_t> Get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                      int64_t capacity, void* values) const;

 private:
  CudnnDescriptor(const CudnnLibrary& library, cudnnBackendDescriptor_t descriptor)
      : library_(&library), descriptor_(descriptor) {}

  const CudnnLibrary* library_;
  cudnnBackendDescriptor_t descriptor_;
};

// Success, or kDevice with cuDNN's own words.
Status ToStatus(const CudnnLibrary& library, cudnnStatus_t status, const char* call);

}  // namespace wsi::cuda
