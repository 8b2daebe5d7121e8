#include "tools/wsirun/session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "runtime/comm/agreement.h"
#include "runtime/comm/device_share.h"
#include "runtime/placement/sysfs.h"
#include "runtime/plan/plan_types.h"
#include "runtime/train/checkpoint.h"
#include "tools/wsirun/bind_rank.h"
#include "tools/wsirun/ranks.h"

namespace wsi {
namespace {

Result<std::unique_ptr<Backend>> MakeBackend(const std::string& device, int threads,
                                             int cuda_device, CudaRanks* cuda_ranks) {
  if (device == "cpu") return MakeCpuBackend({.threads = threads});
  if (device == "reference") return MakeReferenceBackend();
  if (device == "cuda") {
    return MakeCudaBackend(
        {.device = cuda_device,
         .cache_folder = DefaultCudaCacheFolder(),
         .log = [](const std::string& line) { fmt::print(stderr, "wsirun: {}\n", line); },
         .ranks = cuda_ranks});
  }
  return InvalidInput(fmt::format("the plan is for device '{}', which does not exist", device));
}

Result<SpillFileOptions> ToSpillOptions(const PlanArguments& arguments) {
  SpillFileOptions options;
  options.folder = arguments.spill_dir;
  if (arguments.spill_mem.empty()) return options;
  const Result<Bytes> limit = ParseBytes(arguments.spill_mem);
  if (!limit.ok()) return UsageError("--spill-mem: " + limit.status().message());
  options.limit = *limit;
  return options;
}

Result<CaptureMode> ToCaptureMode(const PlanArguments& arguments, const Backend& backend) {
  if (arguments.cuda_graphs == "off") return CaptureMode::kOff;
  if (arguments.cuda_graphs == "auto") return CaptureMode::kAuto;
  if (backend.CanCapture()) return CaptureMode::kOn;
  return UsageError(fmt::format("--cuda-graphs on: the plan is for device {}", backend.name()));
}

Status OpenFile(const PlanArguments& arguments, Session& session) {
  WSI_ASSIGN_OR_RETURN(PlanFile file, ReadPlan(arguments.path));
  session.file = std::make_unique<PlanFile>(std::move(file));
  return {};
}

// The GPU of this rank; none where the plan is not for cuda.
Result<CudaDevice> FindDevice(const std::string& device, const Communicator& ranks) {
  if (device != "cuda") return CudaDevice();
  return ChooseCudaDevice(ranks.local_rank());
}

// Of several ranks on hosts of which one has not what the plan is for, the run is the mistake: no
// device has failed.
Status Refused(const Status& missing, const Communicator& ranks) {
  if (ranks.size() == 1 || missing.code() != ErrorCode::kDevice) return missing;
  return InvalidInput(fmt::format("host {}: {}", HostName(), missing.message()));
}

// By what this plan's means over ranks go, the same on every rank.
Result<CollectivePath> ChoosePath(const std::string& device, const std::string& comm,
                                  bool has_own_device, int ranks) {
  if (device != "cuda" && comm == "nccl") {
    return UsageError(fmt::format(
        "--comm nccl: the plan is for device '{}', whose ranks use MPI; leave it out", device));
  }
  if (device != "cuda") return CollectivePath::kInPlace;
  if (comm == "nccl" && !has_own_device) {
    return UsageError("--comm nccl: NCCL wants a GPU for each rank; take --comm mpi");
  }
  const bool by_nccl = comm != "mpi" && has_own_device && ranks > 1;
  return by_nccl ? CollectivePath::kBackend : CollectivePath::kStaged;
}

// Collective, as are its errors.
Status ConnectGpus(Communicator& ranks, const RankArguments& arguments, int device,
                   Session& session) {
  Communicator* all = &ranks;
  Result<std::unique_ptr<CudaRanks>> made =
      MakeCudaRanks({.rank = ranks.rank(),
                     .size = ranks.size(),
                     .device = device,
                     .timeout = arguments.timeout(),
                     .check_peers = [all](std::string_view what) { return all->CheckPeers(what); },
                     .give_up = [all](std::string_view what) { return all->GiveUp(what); }});
  WSI_RETURN_IF_ERROR(Agree(ranks, made.ok() ? Status() : made.status()));
  session.cuda_ranks = *std::move(made);
  const Result<std::string> id =
      ranks.rank() == 0 ? session.cuda_ranks->MakeId() : Result<std::string>(std::string());
  WSI_RETURN_IF_ERROR(Agree(ranks, id.ok() ? Status() : id.status()));
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> ids, ranks.Gather(*id));
  return Agree(ranks, session.cuda_ranks->Connect(ids[0]));
}

// What follows a device's choice, and is a rank's own affair.
Status OpenExecutor(const PlanArguments& arguments, Communicator& ranks, int cuda_device,
                    CollectivePath path, Session& session) {
  WSI_ASSIGN_OR_RETURN(const SpillFileOptions spill, ToSpillOptions(arguments));
  const int threads = arguments.threads != 0 ? arguments.threads : ThreadsOfRank(ranks);
  WSI_ASSIGN_OR_RETURN(session.backend, MakeBackend(session.file->plan().device(), threads,
                                                    cuda_device, session.cuda_ranks.get()));
  WSI_ASSIGN_OR_RETURN(const CaptureMode capture, ToCaptureMode(arguments, *session.backend));
  WSI_ASSIGN_OR_RETURN(session.executor, Executor::Make(session.file.get(), session.backend.get(),
                                                        {.communicator = &ranks,
                                                         .collectives = path,
                                                         .spill = spill,
                                                         .capture = capture,
                                                         .allow_oversubscription =
                                                             arguments.allow_oversubscription}));
  if (arguments.checkpoint.empty()) return {};
  WSI_ASSIGN_OR_RETURN(const std::string weights, FindWeights(arguments.checkpoint));
  return LoadWeights(weights, *session.executor, PersistentKind::kModel);
}

}  // namespace

void AddPlanOptions(CLI::App& command, PlanArguments* arguments, bool with_checkpoint) {
  command.add_option("PLAN", arguments->path, "a plan that wsic compile wrote")->required();
  command.add_option("--threads", arguments->threads, "compute threads (default: all there are)")
      ->check(CLI::NonNegativeNumber);
  CLI::Option* folder = command.add_option(
      "--spill-dir", arguments->spill_dir,
      "folder, on a fast disk, for what a plan keeps in a file; nothing is left there");
  command.add_option("--spill-mem", arguments->spill_mem, "the most that it may take of that disk")
      ->needs(folder);
  command
      .add_option("--cuda-graphs", arguments->cuda_graphs,
                  "replay steps as CUDA graphs: auto (where launches take the host long), on, off")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  command.add_flag("--allow-oversubscription", arguments->allow_oversubscription,
                   "let a plan of --memory managed take more than the device has free");
  if (with_checkpoint) {
    command.add_option("--checkpoint", arguments->checkpoint,
                       "weights to use: a run's folder, a checkpoint or a .safetensors file "
                       "(default: those in the plan)");
  }
}

Result<Session> OpenSession(const PlanArguments& arguments) {
  Session session;
  session.only_rank = MakeSingleRank();
  Communicator& only_rank = *session.only_rank;
  WSI_RETURN_IF_ERROR(OpenFile(arguments, session));
  WSI_ASSIGN_OR_RETURN(const CudaDevice gpu, FindDevice(session.file->plan().device(), only_rank));
  WSI_RETURN_IF_ERROR(
      OpenExecutor(arguments, only_rank, gpu.number, CollectivePath::kInPlace, session));
  return session;
}

Result<Session> OpenSession(const PlanArguments& arguments, const RankArguments& rank_arguments,
                            Communicator& ranks) {
  Session session;
  WSI_RETURN_IF_ERROR(Agree(ranks, OpenFile(arguments, session)));
  const std::string& device = session.file->plan().device();
  // What decides which collectives follow.
  const std::array facts = {
      SharedFact{"a plan for another device", device},
      SharedFact{"another --comm", rank_arguments.comm},
      SharedFact{"another --oversubscribe", rank_arguments.oversubscribe ? "yes" : "no"}};
  WSI_RETURN_IF_ERROR(CheckSame(ranks, facts));
  const Result<CudaDevice> gpu = FindDevice(device, ranks);
  WSI_RETURN_IF_ERROR(Agree(ranks, gpu.ok() ? Status() : Refused(gpu.status(), ranks)));
  const OwnDevice own = {.id = gpu->id, .name = fmt::format("{} of {}", gpu->name, HostName())};
  WSI_ASSIGN_OR_RETURN(const bool has_own_device,
                       CheckDeviceShare(ranks, own, rank_arguments.oversubscribe));
  WSI_RETURN_IF_ERROR(BindRank(rank_arguments, ranks, ReadPciDevice(gpu->pci).node));
  WSI_ASSIGN_OR_RETURN(const CollectivePath path,
                       ChoosePath(device, rank_arguments.comm, has_own_device, ranks.size()));
  if (path == CollectivePath::kBackend) {
    WSI_RETURN_IF_ERROR(ConnectGpus(ranks, rank_arguments, gpu->number, session));
  }
  WSI_RETURN_IF_ERROR(Agree(ranks, OpenExecutor(arguments, ranks, gpu->number, path, session)));
  return session;
}

Result<Tensor> ToPlanOrder(const Tensor& tensor, const plan::Value& value,
                           const std::string& path) {
  const std::vector<int64_t> permutation(value.permutation().begin(), value.permutation().end());
  const Shape wanted = permutation.empty()
                           ? ValueShape(value)
                           : PermuteShape(ValueShape(value), InvertPermutation(permutation));
  if (tensor.shape() != wanted) {
    return InvalidInput(fmt::format("{}: shape {}, but the plan's {} is {}", path,
                                    tensor.shape().ToString(), value.name(), wanted.ToString()));
  }
  return permutation.empty() ? tensor.Clone() : tensor.Permute(permutation);
}

}  // namespace wsi
