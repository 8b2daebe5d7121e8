#include "runtime/backends/cuda/cuda_backend.h"

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include <cstdlib>

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/convolution_plan.h"
#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/kernel_table.h"
#include "runtime/backends/cuda/lanes.h"
#include "runtime/backends/cuda/linear.h"
#include "runtime/backends/cuda/pixels.h"
#include "runtime/backends/cuda/program_cache.h"

namespace wsi {
namespace {

// The oldest that there is machine code or text for.
constexpr int kLeastMajor = 9;

// What is compiled for the ranks' lane, not for the compute lane.
constexpr std::string_view kCollective = "AllReduce";

class CudaBackend final : public Backend {
 public:
  CudaBackend(cuda::Stream stream, const CudaOptions& options)
      : stream_(std::move(stream)),
        cudnn_(stream_.get(), cuda::EngineCache(options.cache_folder, options.log)),
        programs_(options.cache_folder),
        ranks_(options.ranks),
        context_{.stream = stream_.get(),
                 .faults = faults_,
                 .cudnn = cudnn_,
                 .cublas = cublas_,
                 .programs = programs_} {}

  Status Prepare(int device) {
    int major = 0;
    WSI_RETURN_IF_CUDA_ERROR(
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    context_.is_hopper = major == kLeastMajor;
    WSI_ASSIGN_OR_RETURN(const DeviceMemory memory, MeasureDevice());
    used_before_ = memory.total - memory.free;
    return faults_.Allocate();
  }

  std::string_view name() const override { return "cuda"; }

  Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) override {
    if (launch.op == kCollective && ranks_ != nullptr) return ranks_->CompileMean(launch);
    const cuda::KernelEntry* entry = cuda::FindKernel(launch.op);
    if (entry != nullptr && entry->compile != nullptr) return entry->compile(launch, context_);
    return cuda::CompileError(
        launch,
        fmt::format("no kernel: {}", entry != nullptr ? entry->none_because : "unknown operator"));
  }

  Result<std::unique_ptr<Kernel>> CompileTogether(
      std::span<const LaunchSpec> launches, std::span<const LaunchArguments> arguments) override {
    const cuda::KernelEntry* entry = cuda::FindKernel(launches[0].op);
    if (entry == nullptr || entry->together == nullptr) return std::unique_ptr<Kernel>();
    return entry->together({launches, arguments}, context_);
  }

  Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) override {
    return cuda::MakeDeviceArena(bytes);
  }
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) override {
    return cuda::MakePinnedArena(bytes, &reserved_);
  }

  Result<std::unique_ptr<Arena>> AllocateManaged(Bytes bytes) override {
    return cuda::MakeManagedArena(bytes);
  }
  Result<DeviceMemory> MeasureDevice() const override {
    size_t free = 0;
    size_t total = 0;
    WSI_RETURN_IF_CUDA_ERROR(cudaMemGetInfo(&free, &total));
    return DeviceMemory{.free = static_cast<Bytes>(free),
                        .total = static_cast<Bytes>(total),
                        .used_before = used_before_};
  }

  bool CanCapture() const override { return true; }
  Status BeginCapture(std::span<Lane* const> lanes) override {
    std::vector<cudaStream_t> streams;
    for (Lane* lane : lanes) streams.push_back(static_cast<cuda::StreamLane*>(lane)->stream());
    return capture_.Begin(std::move(streams));
  }
  Result<std::unique_ptr<CapturedWork>> EndCapture() override { return capture_.End(); }

  // Without a profiler each is a call of an empty function.
  void BeginRange(const char* name) override { nvtxRangePushA(name); }
  void EndRange() override { nvtxRangePop(); }

  Status SetEventCount(int events) override { return events_.SetCount(events); }
  // Events take their order from the streams that record and wait.
  Status ResetEvents() override { return {}; }

  Result<std::unique_ptr<Lane>> MakeLane(std::string_view lane_name) override {
    if (lane_name == "compute") {
      return std::unique_ptr<Lane>(
          std::make_unique<cuda::StreamLane>(stream_.get(), events_, &faults_, ranks_));
    }
    if (lane_name == "comm" && ranks_ != nullptr) {
      return std::unique_ptr<Lane>(
          std::make_unique<cuda::StreamLane>(ranks_->stream(), events_, nullptr, ranks_));
    }
    WSI_ASSIGN_OR_RETURN(cuda::Stream stream, cuda::MakeStream());
    return std::unique_ptr<Lane>(
        std::make_unique<cuda::StreamLane>(std::move(stream), events_, ranks_));
  }

  Status Write(std::byte* device, std::span<const std::byte> host) override {
    if (host.empty()) return {};
    WSI_RETURN_IF_CUDA_ERROR(
        cudaMemcpyAsync(device, host.data(), host.size(), cudaMemcpyHostToDevice, stream_.get()));
    return WSI_CUDA_STATUS(cudaStreamSynchronize(stream_.get()));
  }
  Status Read(std::span<std::byte> host, const std::byte* device) override {
    if (host.empty()) return {};
    WSI_RETURN_IF_CUDA_ERROR(
        cudaMemcpyAsync(host.data(), device, host.size(), cudaMemcpyDeviceToHost, stream_.get()));
    return WSI_CUDA_STATUS(cudaStreamSynchronize(stream_.get()));
  }
  Status WritePixels(std::byte* device, DType dtype, std::span<const uint8_t> rgb) override {
    WSI_RETURN_IF_ERROR(cuda::FetchPixels(rgb, dtype, device, stream_.get()));
    return WSI_CUDA_STATUS(cudaStreamSynchronize(stream_.get()));
  }

  Bytes private_bytes() const override {
    return programs_.code_bytes() + (ranks_ == nullptr ? 0 : ranks_->private_bytes());
  }

  std::vector<std::string> Choices() const override { return cudnn_.choices(); }

  std::vector<std::string_view> SupportedOps() const override {
    std::vector<std::string_view> ops;
    for (const cuda::KernelEntry& entry : cuda::KernelTable()) {
      if (entry.compile != nullptr) ops.push_back(entry.op);
    }
    return ops;
  }

 private:
  cuda::Stream stream_;
  cuda::Faults faults_;
  cuda::Cudnn cudnn_;
  cuda::CublasLt cublas_;
  cuda::ProgramCache programs_;
  CudaRanks* ranks_;
  cuda::Context context_;
  cuda::Events events_;
  cuda::StreamCapture capture_;
  Bytes used_before_ = 0;
  Bytes reserved_ = 0;  // The sizes of the host arenas there are.
};

// What stands against using device `device`; success and its properties where nothing does.
Status CheckDevice(int device, cudaDeviceProp* properties) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return DeviceError("no NVIDIA driver (libcuda.so.1) on this machine");
  }
  int runtime = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaRuntimeGetVersion(&runtime));
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    return DeviceError(
        fmt::format("the driver is for CUDA {}.{}, this build wants {}.{}; update it",
                    driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10));
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    return DeviceError("no NVIDIA GPU that this process may use (CUDA_VISIBLE_DEVICES?)");
  }
  WSI_RETURN_IF_ERROR(cuda::ToStatus(error, "cudaGetDeviceCount"));
  if (device < 0 || device >= count) {
    return DeviceError(fmt::format("no GPU {}; there are {}", device, count));
  }
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(properties, device));
  if (properties->major < kLeastMajor) {
    return DeviceError(fmt::format("{} has compute capability {}.{}, this build wants {}.0 or more",
                                   properties->name, properties->major, properties->minor,
                                   kLeastMajor));
  }
  return {};
}

Result<CudaDevice> DescribeDevice(int number) {
  cudaDeviceProp properties{};
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, number));
  CudaDevice device{.number = number,
                    .id = "GPU-",
                    .name = properties.name,
                    .pci = fmt::format("{:04x}:{:02x}:{:02x}.0", properties.pciDomainID,
                                       properties.pciBusID, properties.pciDeviceID)};
  for (const char byte : properties.uuid.bytes) {
    device.id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return device;
}

}  // namespace

Result<std::unique_ptr<Backend>> MakeCudaBackend(const CudaOptions& options) {
  cudaDeviceProp properties{};
  const Status found = CheckDevice(options.device, &properties);
  if (!found.ok()) return found.WithContext("device cuda");
  WSI_RETURN_IF_CUDA_ERROR(cudaSetDevice(options.device));
  WSI_ASSIGN_OR_RETURN(cuda::Stream stream, cuda::MakeStream());
  auto backend = std::make_unique<CudaBackend>(std::move(stream), options);
  WSI_RETURN_IF_ERROR(backend->Prepare(options.device));
  return std::unique_ptr<Backend>(std::move(backend));
}

Result<CudaDevice> ChooseCudaDevice(int local_rank) {
  cudaDeviceProp properties{};
  const Status first = CheckDevice(0, &properties);  // Says what is missing where none is.
  if (!first.ok()) return first.WithContext("device cuda");
  int count = 0;
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDeviceCount(&count));
  return DescribeDevice(local_rank % count);
}

std::vector<CudaDevice> ListCudaDevices() {
  std::vector<CudaDevice> devices;
  cudaDeviceProp properties{};
  int count = 0;
  if (!CheckDevice(0, &properties).ok() || !WSI_CUDA_STATUS(cudaGetDeviceCount(&count)).ok()) {
    return devices;
  }
  for (int number = 0; number < count; ++number) {
    Result<CudaDevice> device = DescribeDevice(number);
    if (device.ok()) devices.push_back(*std::move(device));
  }
  return devices;
}

CudaReport ExamineCuda() {
  CudaReport report;
  const auto note = [&](const Status& status) {
    if (!status.ok()) report.missing.push_back(status.message());
  };
  cudaDeviceProp properties{};
  const Status found = CheckDevice(0, &properties);
  note(found);
  if (found.ok()) {
    note(WSI_CUDA_STATUS(cudaGetDeviceCount(&report.devices)));
    report.device = fmt::format("{}, {}, compute capability {}.{}", properties.name,
                                FormatBytes(static_cast<Bytes>(properties.totalGlobalMem)),
                                properties.major, properties.minor);
  }
  note(cuda::CudnnLibrary::Open().status());
  note(cuda::CublasLtLibrary::Open().status());
  note(cuda::NvrtcLibrary::Open().status());
  const Result<std::string> nccl = ExamineNccl();
  report.nccl = nccl.ok() ? *nccl : nccl.status().message();
  return report;
}

std::string DefaultCudaCacheFolder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (std::string own = variable("WSI_CACHE"); !own.empty()) return own;
  if (std::string user = variable("XDG_CACHE_HOME"); !user.empty()) return user + "/wsic";
  std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/wsic";
}

}  // namespace wsi
