#include "runtime/calibrate/calibrate.h"

#include <algorithm>
#include <memory>

#include "runtime/calibrate/launch_timer.h"
#include "runtime/memory/spill_file.h"

namespace wsi {
namespace {

constexpr Bytes kCopyBytes = Bytes{64} << 20;  // A copy, each way.
constexpr int kCopies = 8;
constexpr Bytes kTinyBytes = 4096;
constexpr int kTinyCopies = 100;
constexpr Bytes kFileBytes = Bytes{256} << 20;

// A lane's copies and when they began and ended.
struct Transfers {
  Lane* lane;
  std::byte* to;
  const std::byte* from;
  double start = 0;
  double end = 0;

  Status Enqueue(Bytes bytes, int count) {
    WSI_RETURN_IF_ERROR(lane->Mark(&start));
    for (int i = 0; i < count; ++i) WSI_RETURN_IF_ERROR(lane->Copy(to, from, bytes));
    return lane->Mark(&end);
  }
  double Rate(Bytes bytes, int count) const {
    return static_cast<double>(bytes) * count / std::max(end - start, 1e-9);
  }
};

// Both directions at once, between halves of the two arenas that do not meet.
Status MeasureCopies(Backend* backend, Bytes bytes, plan::Rates* rates) {
  WSI_ASSIGN_OR_RETURN(const auto device, backend->AllocateDevice(2 * bytes));
  WSI_ASSIGN_OR_RETURN(const auto host, backend->AllocateHost(2 * bytes));
  WSI_ASSIGN_OR_RETURN(const auto in, backend->MakeLane("in"));
  WSI_ASSIGN_OR_RETURN(const auto out, backend->MakeLane("out"));
  Transfers inward = {.lane = in.get(), .to = device->data(), .from = host->data()};
  Transfers outward = {
      .lane = out.get(), .to = host->data() + bytes, .from = device->data() + bytes};
  const auto both = [&](Bytes size, int count) -> Status {
    WSI_RETURN_IF_ERROR(inward.Enqueue(size, count));
    WSI_RETURN_IF_ERROR(outward.Enqueue(size, count));
    WSI_RETURN_IF_ERROR(in->Synchronize());
    return out->Synchronize();
  };
  WSI_RETURN_IF_ERROR(both(bytes, 1));  // Touches every page.
  WSI_RETURN_IF_ERROR(both(bytes, kCopies));
  rates->set_in_bytes(RoundedRate(inward.Rate(bytes, kCopies)));
  rates->set_out_bytes(RoundedRate(outward.Rate(bytes, kCopies)));
  WSI_RETURN_IF_ERROR(both(kTinyBytes, kTinyCopies));
  rates->set_copy_seconds((inward.end - inward.start) / kTinyCopies);
  return {};
}

Status MeasureFile(Backend* backend, const std::string& folder, Bytes size, plan::Rates* rates) {
  WSI_ASSIGN_OR_RETURN(const auto file, SpillFile::Create({.folder = folder}, size));
  WSI_ASSIGN_OR_RETURN(const auto host, backend->AllocateHost(size));
  const std::span<std::byte> bytes(host->data(), static_cast<size_t>(size));
  std::fill(bytes.begin(), bytes.end(), std::byte{1});
  const double start = MarkSeconds();
  WSI_RETURN_IF_ERROR(file->Write(0, bytes));
  const double written = MarkSeconds();
  WSI_RETURN_IF_ERROR(file->Read(0, bytes));
  const double read = MarkSeconds();
  const auto rate = [&](double seconds) {
    return RoundedRate(static_cast<double>(size) / std::max(seconds, 1e-9));
  };
  rates->set_write_bytes(rate(written - start));
  rates->set_read_bytes(rate(read - written));
  return {};
}

// Half precision is up to the backend.
std::vector<LaunchCase> CasesOf(Backend* backend, DType type, int64_t divisor) {
  std::vector<LaunchCase> cases = LaunchCases(type, divisor);
  if (type == DType::kF32) return cases;
  std::erase_if(cases, [&](const LaunchCase& c) {
    return !backend
                ->Compile({.op = c.op,
                           .node = "calibration",
                           .attributes = c.attributes,
                           .inputs = c.inputs,
                           .outputs = c.outputs})
                .ok();
  });
  return cases;
}

}  // namespace

Result<Calibration> Calibrate(Backend* backend, const CalibrateOptions& options,
                              const plan::Rates& otherwise) {
  Calibration calibration;
  plan::Rates& rates = calibration.rates;
  rates.set_device(options.device);
  WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Lane> compute, backend->MakeLane("compute"));
  WSI_ASSIGN_OR_RETURN(const double launch, MeasureLaunchSeconds(backend, compute.get()));
  rates.set_launch_seconds(launch);
  std::vector<LaunchSample> samples;
  for (const DType type : {DType::kF32, DType::kBF16}) {
    const std::vector<LaunchCase> cases = CasesOf(backend, type, options.divisor);
    WSI_ASSIGN_OR_RETURN(const std::vector<LaunchSample> measured,
                         MeasureLaunches(backend, compute.get(), cases, options.rounds, launch));
    samples.insert(samples.end(), measured.begin(), measured.end());
  }
  FitOperators(samples, &rates);
  for (const LaunchSample& sample : samples) calibration.seconds += sample.seconds;
  WSI_RETURN_IF_ERROR(MeasureCopies(backend, kCopyBytes / options.divisor, &rates));
  rates.set_read_bytes(otherwise.read_bytes());
  rates.set_write_bytes(otherwise.write_bytes());
  if (!options.spill_dir.empty()) {
    WSI_RETURN_IF_ERROR(
        MeasureFile(backend, options.spill_dir, kFileBytes / options.divisor, &rates));
  }
  return calibration;
}

}  // namespace wsi
