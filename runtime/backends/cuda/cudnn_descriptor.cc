#include "runtime/backends/cuda/cudnn_descriptor.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace wsi::cuda {

Status ToStatus(const CudnnLibrary& library, cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return {};
  std::array<char, 1024> detail{};
  library.cudnnGetLastErrorString(detail.data(), detail.size());
  return DeviceError(
      fmt::format("cuDNN: {}: {} {}", call, library.cudnnGetErrorString(status), detail.data()));
}

Result<CudnnDescriptor> CudnnDescriptor::Make(const CudnnLibrary& library,
                                              cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t descriptor = nullptr;
  WSI_RETURN_IF_ERROR(ToStatus(library, library.cudnnBackendCreateDescriptor(type, &descriptor),
                               "create descriptor"));
  return CudnnDescriptor(library, descriptor);
}

CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : library_(other.library_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}

CudnnDescriptor& CudnnDescriptor::operator=(CudnnDescriptor&& other) noexcept {
  std::swap(library_, other.library_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

CudnnDescriptor::~CudnnDescriptor() {
  if (descriptor_ != nullptr) library_->cudnnBackendDestroyDescriptor(descriptor_);
}

Status CudnnDescriptor::Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                            int64_t count, const void* values) {
  return ToStatus(*library_,
                  library_->cudnnBackendSetAttribute(descriptor_, name, type, count, values),
                  "set attribute");
}

Status CudnnDescriptor::Set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  return Set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
}

Status CudnnDescriptor::Set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
  return Set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
}

Status CudnnDescriptor::Finalize() {
  return ToStatus(*library_, library_->cudnnBackendFinalize(descriptor_), "finalize");
}

Result<int64_t> CudnnDescriptor::Get(cudnnBackendAttributeName_t name,
                                     cudnnBackendAttributeType_t type, int64_t capacity,
                                     void* values) const {
  int64_t count = 0;
  WSI_RETURN_IF_ERROR(ToStatus(
      *library_,
      library_->cudnnBackendGetAttribute(descriptor_, name, type, capacity, &count, values),
      "get attribute"));
  return count;
}

}  // namespace wsi::cuda
