#include "tools/wsirun/session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "runtime/plan/plan_types.h"
#include "runtime/train/checkpoint.h"
#include "tools/wsirun/ranks.h"

namespace wsi {
namespace {

Result<std::unique_ptr<Backend>> MakeBackend(const std::string& device, int threads) {
  if (device == "cpu") return MakeCpuBackend({.threads = threads});
  if (device == "reference") return MakeReferenceBackend();
  if (device == "cuda") {
    return MakeCudaBackend(
        {.cache_folder = DefaultCudaCacheFolder(),
         .log = [](const std::string& line) { fmt::print(stderr, "wsirun: {}\n", line); }});
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

Result<Session> OpenSession(const PlanArguments& arguments, Communicator* communicator) {
  WSI_ASSIGN_OR_RETURN(const SpillFileOptions spill, ToSpillOptions(arguments));
  WSI_ASSIGN_OR_RETURN(PlanFile file, ReadPlan(arguments.path));
  Session session;
  session.file = std::make_unique<PlanFile>(std::move(file));
  int threads = arguments.threads;
  if (threads == 0 && communicator != nullptr) threads = ThreadsOfRank(*communicator);
  WSI_ASSIGN_OR_RETURN(session.backend, MakeBackend(session.file->plan().device(), threads));
  WSI_ASSIGN_OR_RETURN(const CaptureMode capture, ToCaptureMode(arguments, *session.backend));
  WSI_ASSIGN_OR_RETURN(session.executor, Executor::Make(session.file.get(), session.backend.get(),
                                                        {.communicator = communicator,
                                                         .spill = spill,
                                                         .capture = capture,
                                                         .allow_oversubscription =
                                                             arguments.allow_oversubscription}));
  if (!arguments.checkpoint.empty()) {
    WSI_ASSIGN_OR_RETURN(const std::string weights, FindWeights(arguments.checkpoint));
    WSI_RETURN_IF_ERROR(LoadWeights(weights, *session.executor, PersistentKind::kModel));
  }
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
