#include "runtime/calibrate/calibrate.h"

#include <algorithm>
#include <memory>

#include "runtime/calibrate/launch_timer.h"
#include "runtime/calibrate/slowest.h"
#include "runtime/comm/agreement.h"
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
  double Seconds() const { return end - start; }
};

double RateOf(Bytes bytes, double seconds) {
  return RoundedRate(static_cast<double>(bytes) / std::max(seconds, 1e-9));
}

// Seconds of the copies in one direction while others go in the other; of tiny ones, of each.
struct CopyTimes {
  double in = 0;
  double out = 0;
  double tiny = 0;
};

// Both directions at once, between halves of the two arenas that do not meet.
Result<CopyTimes> TimeCopies(Backend* backend, Bytes bytes) {
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
  CopyTimes times = {.in = inward.Seconds(), .out = outward.Seconds()};
  WSI_RETURN_IF_ERROR(both(kTinyBytes, kTinyCopies));
  times.tiny = inward.Seconds() / kTinyCopies;
  return times;
}

Status MeasureCopies(Communicator& ranks, Backend* backend, Bytes bytes, plan::Rates* rates) {
  const Result<CopyTimes> own = TimeCopies(backend, bytes);
  WSI_RETURN_IF_ERROR(Agree(ranks, own.status()));
  WSI_ASSIGN_OR_RETURN(const double in, SlowestSeconds(ranks, own->in));
  WSI_ASSIGN_OR_RETURN(const double out, SlowestSeconds(ranks, own->out));
  WSI_ASSIGN_OR_RETURN(const double tiny, SlowestSeconds(ranks, own->tiny));
  rates->set_in_bytes(RateOf(bytes * kCopies, in));
  rates->set_out_bytes(RateOf(bytes * kCopies, out));
  rates->set_copy_seconds(tiny);
  return {};
}

struct FileTimes {
  double write = 0;
  double read = 0;
};

Result<FileTimes> TimeFile(Backend* backend, const std::string& folder, Bytes size) {
  WSI_ASSIGN_OR_RETURN(const auto file, SpillFile::Create({.folder = folder}, size));
  WSI_ASSIGN_OR_RETURN(const auto host, backend->AllocateHost(size));
  const std::span<std::byte> bytes(host->data(), static_cast<size_t>(size));
  std::fill(bytes.begin(), bytes.end(), std::byte{1});
  const double start = MarkSeconds();
  WSI_RETURN_IF_ERROR(file->Write(0, bytes));
  const double written = MarkSeconds();
  WSI_RETURN_IF_ERROR(file->Read(0, bytes));
  return FileTimes{.write = written - start, .read = MarkSeconds() - written};
}

Status MeasureFile(Communicator& ranks, Backend* backend, const std::string& folder, Bytes size,
                   plan::Rates* rates) {
  const Result<FileTimes> own = TimeFile(backend, folder, size);
  WSI_RETURN_IF_ERROR(Agree(ranks, own.status()));
  WSI_ASSIGN_OR_RETURN(const double write, SlowestSeconds(ranks, own->write));
  WSI_ASSIGN_OR_RETURN(const double read, SlowestSeconds(ranks, own->read));
  rates->set_write_bytes(RateOf(size, write));
  rates->set_read_bytes(RateOf(size, read));
  return {};
}

// Half precision is up to the backends: what all of them compile.
Result<std::vector<LaunchCase>> CasesOf(Communicator& ranks, Backend* backend, DType type,
                                        int64_t divisor) {
  std::vector<LaunchCase> cases = LaunchCases(type, divisor);
  if (type == DType::kF32) return cases;
  std::vector<int64_t> lacking(cases.size());
  std::transform(cases.begin(), cases.end(), lacking.begin(),
                 [&](const LaunchCase& c) { return backend->Compile(SpecOf(c)).ok() ? 0 : 1; });
  WSI_RETURN_IF_ERROR(ranks.Max(lacking));
  std::vector<LaunchCase> common;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (lacking[i] == 0) common.push_back(std::move(cases[i]));
  }
  return common;
}

// The lane that launches run on, and what any of them takes at least.
struct ComputeLane {
  std::unique_ptr<Lane> lane;
  double launch_seconds = 0;
};

Result<ComputeLane> MakeComputeLane(Backend* backend) {
  ComputeLane compute;
  WSI_ASSIGN_OR_RETURN(compute.lane, backend->MakeLane("compute"));
  WSI_ASSIGN_OR_RETURN(compute.launch_seconds, MeasureLaunchSeconds(backend, compute.lane.get()));
  return compute;
}

}  // namespace

Result<plan::Rates> Calibrate(Communicator& ranks, Backend* backend,
                              const CalibrateOptions& options, const plan::Rates& otherwise) {
  plan::Rates rates;
  rates.set_device(options.device);
  const Result<ComputeLane> compute = MakeComputeLane(backend);
  WSI_RETURN_IF_ERROR(Agree(ranks, compute.status()));
  WSI_ASSIGN_OR_RETURN(const double launch, SlowestSeconds(ranks, compute->launch_seconds));
  rates.set_launch_seconds(launch);
  std::vector<LaunchSample> samples;
  for (const DType type : {DType::kF32, DType::kBF16}) {
    WSI_ASSIGN_OR_RETURN(const std::vector<LaunchCase> cases,
                         CasesOf(ranks, backend, type, options.divisor));
    WSI_ASSIGN_OR_RETURN(const std::vector<LaunchSample> measured,
                         MeasureLaunches(ranks, backend, compute->lane.get(), cases,
                                         {.rounds = options.rounds, .launch_seconds = launch}));
    samples.insert(samples.end(), measured.begin(), measured.end());
  }
  FitOperators(samples, &rates);
  WSI_RETURN_IF_ERROR(MeasureCopies(ranks, backend, kCopyBytes / options.divisor, &rates));
  rates.set_read_bytes(otherwise.read_bytes());
  rates.set_write_bytes(otherwise.write_bytes());
  if (!options.spill_dir.empty()) {
    WSI_RETURN_IF_ERROR(
        MeasureFile(ranks, backend, options.spill_dir, kFileBytes / options.divisor, &rates));
  }
  return rates;
}

}  // namespace wsi
