#include <cstdio>

#include "runtime/backends/cuda/cuda_backend.h"
#include "tests/backends/backend_suite.h"

namespace wsi {
namespace {

// One for all tests, whose compiled programs they share.
Backend* SharedBackend() {
  static const Result<std::unique_ptr<Backend>> backend = MakeCudaBackend({});
  if (!backend.ok()) {
    std::printf("no test of CUDA is run: %s\n", backend.status().message().c_str());
    return nullptr;
  }
  return backend->get();
}

class BorrowedBackend final : public Backend {
 public:
  explicit BorrowedBackend(Backend* backend) : backend_(backend) {}
  std::string_view name() const override { return backend_->name(); }
  Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) override {
    return backend_->Compile(launch);
  }
  Result<std::unique_ptr<Kernel>> CompileTogether(
      std::span<const LaunchSpec> launches, std::span<const LaunchArguments> arguments) override {
    return backend_->CompileTogether(launches, arguments);
  }
  Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) override {
    return backend_->AllocateDevice(bytes);
  }
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) override {
    return backend_->AllocateHost(bytes);
  }
  Result<DeviceMemory> MeasureDevice() const override { return backend_->MeasureDevice(); }
  Status SetEventCount(int events) override { return backend_->SetEventCount(events); }
  Status ResetEvents() override { return backend_->ResetEvents(); }
  Result<std::unique_ptr<Lane>> MakeLane(std::string_view lane_name) override {
    return backend_->MakeLane(lane_name);
  }
  Status Write(std::byte* device, std::span<const std::byte> host) override {
    return backend_->Write(device, host);
  }
  Status Read(std::span<std::byte> host, const std::byte* device) override {
    return backend_->Read(host, device);
  }
  Status WritePixels(std::byte* device, DType dtype, std::span<const uint8_t> rgb) override {
    return backend_->WritePixels(device, dtype, rgb);
  }
  Bytes private_bytes() const override { return backend_->private_bytes(); }
  std::vector<std::string_view> SupportedOps() const override { return backend_->SupportedOps(); }

 private:
  Backend* backend_;
};

}  // namespace

std::unique_ptr<Backend> MakeBackendUnderTest() {
  Backend* shared = SharedBackend();
  return shared == nullptr ? nullptr : std::make_unique<BorrowedBackend>(shared);
}
std::vector<DType> FloatTypesUnderTest() { return {DType::kF32, DType::kF16, DType::kBF16}; }

}  // namespace wsi
