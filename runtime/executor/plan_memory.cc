#include "runtime/executor/plan_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

std::span<const int64_t> Axes(const plan::Persistent& persistent) {
  return std::span(persistent.permutation().data(),
                   static_cast<size_t>(persistent.permutation_size()));
}

Status CheckShape(const std::string& name, const Shape& given, const Shape& wanted) {
  if (given == wanted) return {};
  return InvalidInput(
      fmt::format("'{}' has shape {}, the plan has {}", name, given.ToString(), wanted.ToString()));
}

}  // namespace

Result<PlanMemory> PlanMemory::Make(const PlanFile* file, Backend* backend,
                                    const SpillFileOptions& spill, bool allow_oversubscription) {
  const plan::Plan& plan = file->plan();
  TierSizes sizes = {.device = plan.device_peak_bytes(),
                     .host = plan.host_peak_bytes(),
                     .file = plan.file_peak_bytes()};
  if (plan.managed()) sizes.device = sizes.host = 0;
  Result<ArenaSet> arenas = ArenaSet::Make(backend, sizes, spill);
  if (!arenas.ok()) return arenas.status().WithContext(file->path());
  if (!plan.managed()) return PlanMemory(file, backend, std::move(arenas).value());
  Result<PlanMemory> memory =
      MakeManaged(file, backend, std::move(arenas).value(), allow_oversubscription);
  if (!memory.ok()) return memory.status().WithContext(file->path());
  return memory;
}

Result<PlanMemory> PlanMemory::MakeManaged(const PlanFile* file, Backend* backend, ArenaSet files,
                                           bool allow_oversubscription) {
  PlanMemory memory(file, backend, std::move(files));
  WSI_ASSIGN_OR_RETURN(memory.layout_, ComputeManagedLayout(file->plan()));
  WSI_ASSIGN_OR_RETURN(const DeviceMemory device, backend->MeasureDevice());
  WSI_RETURN_IF_ERROR(
      CheckManagedBytes(memory.layout_, device.free, device.total, allow_oversubscription));
  WSI_ASSIGN_OR_RETURN(memory.managed_, backend->AllocateManaged(memory.layout_.bytes));
  return memory;
}

std::byte* PlanMemory::BufferAddress(int32_t buffer) const {
  const plan::Buffer& b = plan().buffers(buffer);
  WSI_CHECK(b.tier() != plan::TIER_FILE);
  if (managed_) return managed_->data() + layout_.offsets[static_cast<size_t>(buffer)];
  return b.tier() == plan::TIER_DEVICE ? arenas_.Device(b.offset()) : arenas_.Host(b.offset());
}

std::byte* PlanMemory::ValueAddress(int32_t value) const {
  return BufferAddress(plan().values(value).buffer());
}

Status PlanMemory::PoisonBuffer(int32_t buffer) {
  if (managed_) return {};
  const plan::Buffer& b = plan().buffers(buffer);
  if (b.tier() == plan::TIER_DEVICE) return arenas_.PoisonDevice(b.offset(), b.size());
  if (b.tier() == plan::TIER_FILE) return arenas_.PoisonFile(b.offset(), b.size());
  arenas_.PoisonHost(b.offset(), b.size());
  return {};
}

Status PlanMemory::PoisonAll() {
  if (managed_) return {};
  arenas_.PoisonHost(0, plan().host_peak_bytes());
  WSI_RETURN_IF_ERROR(arenas_.PoisonFile(0, plan().file_peak_bytes()));
  return arenas_.PoisonDevice(0, plan().device_peak_bytes());
}

Status PlanMemory::ReadBuffer(int32_t buffer, std::span<std::byte> to) const {
  const plan::Buffer& b = plan().buffers(buffer);
  switch (b.tier()) {
    case plan::TIER_FILE: return arenas_.file()->Read(b.offset(), to);
    case plan::TIER_HOST:
      if (!to.empty()) std::memcpy(to.data(), BufferAddress(buffer), to.size());
      return {};
    default: return backend_->Read(to, BufferAddress(buffer));
  }
}

Status PlanMemory::WriteBuffer(int32_t buffer, std::span<const std::byte> from) {
  const plan::Buffer& b = plan().buffers(buffer);
  switch (b.tier()) {
    case plan::TIER_FILE: return arenas_.file()->Write(b.offset(), from);
    case plan::TIER_HOST:
      if (!from.empty()) std::memcpy(BufferAddress(buffer), from.data(), from.size());
      return {};
    default: return backend_->Write(BufferAddress(buffer), from);
  }
}

Status PlanMemory::LoadPersistents() {
  for (int i = 0; i < plan().persistents_size(); ++i) {
    const plan::Value& value = plan().values(plan().persistents(i).value());
    WSI_ASSIGN_OR_RETURN(Tensor staging, Tensor::Make(ValueDType(value), ValueShape(value)));
    WSI_RETURN_IF_ERROR(file_->ReadPersistent(i, staging.bytes()));
    WSI_RETURN_IF_ERROR(WriteBytes(plan().persistents(i).value(), staging.bytes()));
  }
  return {};
}

Result<Tensor> PlanMemory::Read(int32_t value) const {
  const plan::Value& v = plan().values(value);
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(ValueDType(v), ValueShape(v)));
  WSI_RETURN_IF_ERROR(ReadBuffer(v.buffer(), tensor.bytes()));
  return tensor;
}

Status PlanMemory::WriteBytes(int32_t value, std::span<const std::byte> bytes) {
  const plan::Value& v = plan().values(value);
  if (static_cast<Bytes>(bytes.size()) != ValueBytes(v)) {
    return InvalidInput(
        fmt::format("'{}' has {} bytes, given are {}", v.name(), ValueBytes(v), bytes.size()));
  }
  return WriteBuffer(v.buffer(), bytes);
}

Status PlanMemory::WritePixels(int32_t value, int64_t begin, std::span<const uint8_t> rgb) {
  const plan::Value& v = plan().values(value);
  const DType dtype = ValueDType(v);
  const int64_t elements = ValueShape(v).ElementCount();
  const auto count = static_cast<int64_t>(rgb.size());
  if (!IsFloat(dtype) || begin < 0 || count > elements || begin > elements - count) {
    return InvalidInput(
        fmt::format("'{}' has {} values of {}, given are {} pixel values from {} on", v.name(),
                    elements, DTypeName(dtype), count, begin));
  }
  if (plan().buffers(v.buffer()).tier() != plan::TIER_DEVICE) {
    return InvalidInput(fmt::format(
        "'{}' begins in another tier than the device's, where pixels are written", v.name()));
  }
  return backend_->WritePixels(BufferAddress(v.buffer()) + begin * DTypeBytes(dtype), dtype, rgb);
}

Status PlanMemory::Write(int32_t value, const Tensor& tensor) {
  const plan::Value& v = plan().values(value);
  WSI_RETURN_IF_ERROR(CheckShape(v.name(), tensor.shape(), ValueShape(v)));
  const DType wanted = ValueDType(v);
  if (tensor.dtype() == wanted) return WriteBytes(value, tensor.bytes());
  if (IsFloat(tensor.dtype()) && !IsFloat(wanted)) {
    return InvalidInput(fmt::format("'{}' has type {}, the plan has {}", v.name(),
                                    DTypeName(tensor.dtype()), DTypeName(wanted)));
  }
  WSI_ASSIGN_OR_RETURN(const Tensor cast, tensor.Cast(wanted));
  return WriteBytes(value, cast.bytes());
}

Result<Tensor> PlanMemory::ToOnnx(int persistent, Tensor tensor) const {
  const std::span<const int64_t> axes = Axes(plan().persistents(persistent));
  if (axes.empty()) return tensor;
  return tensor.Permute(InvertPermutation(axes));
}

Result<Tensor> PlanMemory::ReadPersistent(int i) const {
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Read(plan().persistents(i).value()));
  return ToOnnx(i, std::move(tensor));
}

Result<Tensor> PlanMemory::ReadGradient(int i) const {
  WSI_CHECK(plan().persistents(i).gradient() >= 0);
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Read(plan().persistents(i).gradient()));
  return ToOnnx(i, std::move(tensor));
}

Status PlanMemory::WritePersistent(int i, const Tensor& tensor) {
  const plan::Persistent& persistent = plan().persistents(i);
  WSI_ASSIGN_OR_RETURN(const Shape wanted,
                       Shape::Make(std::span(persistent.onnx_dims().data(),
                                             static_cast<size_t>(persistent.onnx_dims_size()))));
  WSI_RETURN_IF_ERROR(CheckShape(persistent.onnx_name(), tensor.shape(), wanted));
  const DType stored = ValueDType(plan().values(persistent.value()));
  if (tensor.dtype() != stored && (!IsFloat(tensor.dtype()) || !IsFloat(stored))) {
    return InvalidInput(fmt::format("'{}' has type {}, the plan has {}", persistent.onnx_name(),
                                    DTypeName(tensor.dtype()), DTypeName(stored)));
  }
  if (Axes(persistent).empty()) return Write(persistent.value(), tensor);
  WSI_ASSIGN_OR_RETURN(const Tensor permuted, tensor.Permute(Axes(persistent)));
  return Write(persistent.value(), permuted);
}

}  // namespace wsi
