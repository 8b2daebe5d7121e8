#include "runtime/backends/cuda/convolution_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "runtime/backends/cuda/convolution_graph.h"
#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/engine_choice.h"
#include "runtime/backends/cuda/lanes.h"

namespace wsi::cuda {
namespace {

constexpr double kTimedFlops = 1e9;  // From here on plans are timed.
constexpr size_t kTimedPlans = 6;
constexpr int64_t kMostConfigurations = 64;

int64_t Product(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

// Whether an engine computes what is asked for: the same in every run, with products in
// the type of the operands and sums in fp32.
bool IsFit(const std::vector<cudnnBackendNumericalNote_t>& notes, DType dtype) {
  return std::none_of(notes.begin(), notes.end(), [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return dtype == DType::kF32;  // TF32.
      case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP: return false;
      default: return true;
    }
  });
}

Result<std::vector<cudnnBackendNumericalNote_t>> NotesOf(const CudnnLibrary& library,
                                                         const CudnnDescriptor& configuration) {
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor engine, EngineOf(library, configuration));
  std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  WSI_ASSIGN_OR_RETURN(const int64_t count,
                       engine.Get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                  CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes.data()));
  notes.resize(static_cast<size_t>(count));
  return notes;
}

// What the heuristics offer for a graph, best first.
Result<std::vector<CudnnDescriptor>> ConfigurationsOf(const CudnnLibrary& library,
                                                      const CudnnDescriptor& graph,
                                                      cudnnBackendHeurMode_t mode) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor heuristic,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(heuristic.Set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph));
  WSI_RETURN_IF_ERROR(heuristic.Set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode));
  WSI_RETURN_IF_ERROR(heuristic.Finalize());
  std::vector<CudnnDescriptor> results;
  std::vector<cudnnBackendDescriptor_t> descriptors;
  for (int64_t i = 0; i < kMostConfigurations; ++i) {
    WSI_ASSIGN_OR_RETURN(CudnnDescriptor result,
                         CudnnDescriptor::Make(library, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    descriptors.push_back(result.get());
    results.push_back(std::move(result));
  }
  WSI_ASSIGN_OR_RETURN(const int64_t count,
                       heuristic.Get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                     kMostConfigurations, static_cast<void*>(descriptors.data())));
  while (static_cast<int64_t>(results.size()) > count) results.pop_back();
  return results;
}

}  // namespace

int64_t ConvolutionProblem::InputElements() const { return images * in_channels * Product(input); }
int64_t ConvolutionProblem::OutputElements() const {
  return images * out_channels * Product(output);
}
int64_t ConvolutionProblem::WeightElements() const {
  return out_channels * (in_channels / groups) * Product(kernel);
}
double ConvolutionProblem::Flops() const {
  return 2.0 * static_cast<double>(OutputElements()) * static_cast<double>(WeightElements()) /
         static_cast<double>(out_channels);
}

Status ConvolutionPlan::Run(const ConvolutionOperands& operands, void* workspace) const {
  const std::array<int64_t, 4> uids = {kUidX, kUidW, kUidY, kUidBias};
  const std::array<void*, 4> pointers = {operands.x, operands.w, operands.y, operands.bias};
  const int64_t count = operands.bias != nullptr ? 4 : 3;
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor pack,
                       CudnnDescriptor::Make(library_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(
      pack.Set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids.data()));
  WSI_RETURN_IF_ERROR(pack.Set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count,
                               static_cast<const void*>(pointers.data())));
  WSI_RETURN_IF_ERROR(pack.Set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace));
  WSI_RETURN_IF_ERROR(pack.Finalize());
  return ToStatus(library_, library_.cudnnBackendExecute(handle_, plan_.get(), pack.get()),
                  "execute");
}

Cudnn::~Cudnn() {
  plans_.clear();
  if (handle_ != nullptr) library_->cudnnDestroy(handle_);
}

Status Cudnn::Open() {
  if (handle_ != nullptr) return {};
  WSI_ASSIGN_OR_RETURN(library_, CudnnLibrary::Open());
  WSI_RETURN_IF_ERROR(ToStatus(*library_, library_->cudnnCreate(&handle_), "cudnnCreate"));
  int device = 0;
  cudaDeviceProp properties{};
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device));
  WSI_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, device));
  machine_ = fmt::format("{}, cuDNN {}", properties.name, library_->cudnnGetVersion());
  return ToStatus(*library_, library_->cudnnSetStream(handle_, stream_), "cudnnSetStream");
}

// Null where the engine computes something else, takes too much workspace or is not for
// these sizes.
Result<std::unique_ptr<ConvolutionPlan>> Cudnn::MakePlan(const ConvolutionProblem& problem,
                                                         CudnnDescriptor configuration) {
  WSI_ASSIGN_OR_RETURN(const std::vector<cudnnBackendNumericalNote_t> notes,
                       NotesOf(*library_, configuration));
  std::unique_ptr<ConvolutionPlan> none;
  if (!IsFit(notes, problem.dtype)) return none;
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor plan,
                       CudnnDescriptor::Make(*library_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(plan.Set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_));
  WSI_RETURN_IF_ERROR(plan.Set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration));
  if (!plan.Finalize().ok()) return none;  // Offered, but not for these sizes.
  int64_t workspace = 0;
  WSI_RETURN_IF_ERROR(
      plan.Get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace).status());
  if (workspace > problem.most_workspace) {
    least_refused_ = least_refused_ == 0 ? workspace : std::min(least_refused_, workspace);
    return none;
  }
  return std::unique_ptr<ConvolutionPlan>(new ConvolutionPlan(
      *library_, handle_, std::move(configuration), std::move(plan), workspace));
}

Status Cudnn::AddPlans(const ConvolutionProblem& problem, cudnnBackendHeurMode_t mode, size_t most,
                       Plans& plans) {
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor graph,
                       MakeConvolutionGraph(*library_, handle_, problem));
  auto configurations = ConfigurationsOf(*library_, graph, mode);
  // A mode may know nothing of a graph.
  if (!configurations.ok()) return {};
  for (CudnnDescriptor& configuration : *configurations) {
    if (plans.size() >= most) break;
    WSI_ASSIGN_OR_RETURN(std::unique_ptr<ConvolutionPlan> plan,
                         MakePlan(problem, std::move(configuration)));
    if (plan) plans.push_back(std::move(plan));
  }
  return {};
}

Result<Cudnn::Fastest> Cudnn::FindFastest(const ConvolutionProblem& p, const Plans& plans) {
  const Bytes element = DTypeBytes(p.dtype);
  const Bytes result = DTypeBytes(p.result);
  const Bytes widest = std::max(element, result);
  const Bytes x_bytes = AlignUp(p.InputElements() * widest, 256);
  const Bytes w_bytes = AlignUp(p.WeightElements() * widest, 256);
  const Bytes y_bytes = AlignUp(p.OutputElements() * widest, 256);
  const Bytes b_bytes = AlignUp(p.out_channels * widest, 256);
  const Bytes work_at = x_bytes + w_bytes + y_bytes + b_bytes;
  // Without room to time in, the heuristics' choice stands.
  WSI_ASSIGN_OR_RETURN(Event start, MakeEvent(true));
  WSI_ASSIGN_OR_RETURN(Event stop, MakeEvent(true));
  auto memory = MakeDeviceArena(work_at + p.most_workspace);
  if (!memory.ok()) return Fastest();
  std::byte* base = (*memory)->data();
  // Small numbers: zeros would flatter.
  WSI_RETURN_IF_CUDA_ERROR(cudaMemsetAsync(base, 0x2c, static_cast<size_t>(work_at), stream_));
  const ConvolutionOperands operands = {
      .x = base,
      .w = base + x_bytes,
      .y = base + x_bytes + w_bytes,
      .bias = p.bias ? base + x_bytes + w_bytes + y_bytes : nullptr};
  Fastest best;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (!plans[i]->Run(operands, base + work_at).ok()) continue;
    WSI_RETURN_IF_CUDA_ERROR(cudaEventRecord(start.get(), stream_));
    for (int run = 0; run < 2; ++run) {
      WSI_RETURN_IF_ERROR(plans[i]->Run(operands, base + work_at));
    }
    WSI_RETURN_IF_CUDA_ERROR(cudaEventRecord(stop.get(), stream_));
    WSI_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream_));
    float ms = 0;
    WSI_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&ms, start.get(), stop.get()));
    if (!best.ms || ms < 2 * *best.ms) best = {i, ms / 2};
  }
  ++timed_problems_;
  return best;
}

std::string Cudnn::KeyOf(const ConvolutionProblem& problem) const {
  return fmt::format("{}: {}", machine_, problem.ToText());
}

// A choice that cuDNN does not tell is not kept.
void Cudnn::Note(const ConvolutionProblem& problem, const ConvolutionPlan& plan,
                 std::string_view origin, bool keeps) {
  const Result<EngineChoice> choice = ChoiceOf(*library_, plan.configuration_);
  choices_.push_back(fmt::format(
      "{}: engine {}, workspace {}, {}", problem.ToText(),
      choice.ok() ? fmt::format("{}", choice->engine) : "unknown: " + choice.status().message(),
      FormatBytes(plan.workspace_bytes()), origin));
  if (keeps && choice.ok()) cache_.Keep(KeyOf(problem), *choice);
}

// What an earlier run found; null where none did, or where it is no use.
std::unique_ptr<ConvolutionPlan> Cudnn::KeptPlan(const ConvolutionProblem& problem) {
  const std::string key = KeyOf(problem);
  const std::optional<EngineChoice> choice = cache_.Find(key);
  if (!choice) return nullptr;
  Result<std::unique_ptr<ConvolutionPlan>> plan = PlanOf(problem, *choice);
  if (!plan.ok()) {
    cache_.Distrust(key, plan.status().message());
    return nullptr;
  }
  Note(problem, **plan, "kept from an earlier run", false);
  return std::move(plan).value();
}

Result<std::unique_ptr<ConvolutionPlan>> Cudnn::PlanOf(const ConvolutionProblem& problem,
                                                       const EngineChoice& choice) {
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor graph,
                       MakeConvolutionGraph(*library_, handle_, problem));
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor configuration, ConfigurationOf(*library_, graph, choice));
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<ConvolutionPlan> plan,
                       MakePlan(problem, std::move(configuration)));
  if (!plan) return DeviceError("its engine does not compute this");
  return plan;
}

Status Cudnn::NoPlan(const ConvolutionProblem& problem) const {
  if (least_refused_ == 0) {
    return DeviceError("cuDNN has no engine for it that gives the same bits in every run");
  }
  return InvalidInput(fmt::format(
      "cuDNN's engines for it want {} of workspace or more, the plan leaves them {}; try wsic "
      "compile --library-workspace {}B",
      FormatBytes(least_refused_), FormatBytes(problem.most_workspace), least_refused_));
}

Result<std::unique_ptr<ConvolutionPlan>> Cudnn::ChoosePlan(const ConvolutionProblem& problem) {
  least_refused_ = 0;
  const bool timed = problem.Flops() >= kTimedFlops;
  Plans plans;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.empty()) {
      WSI_RETURN_IF_ERROR(AddPlans(problem, mode, timed ? kTimedPlans : 1, plans));
    }
  }
  if (plans.empty()) return NoPlan(problem);
  Fastest fastest;
  if (plans.size() > 1) {
    WSI_ASSIGN_OR_RETURN(fastest, FindFastest(problem, plans));
  }
  std::unique_ptr<ConvolutionPlan> plan = std::move(plans[fastest.index]);
  Note(problem, *plan,
       fastest.ms
           ? fmt::format("{:.3f} ms, number {} of {}", *fastest.ms, fastest.index + 1, plans.size())
           : "the heuristics' first",
       fastest.ms.has_value());
  return plan;
}

Result<const ConvolutionPlan*> Cudnn::Plan(const ConvolutionProblem& problem) {
  const auto found = plans_.find(problem);
  if (found != plans_.end()) return found->second.get();
  WSI_RETURN_IF_ERROR(Open());
  std::unique_ptr<ConvolutionPlan> plan;
  if (problem.Flops() >= kTimedFlops) plan = KeptPlan(problem);
  if (!plan) {
    WSI_ASSIGN_OR_RETURN(plan, ChoosePlan(problem));
  }
  return plans_.emplace(problem, std::move(plan)).first->second.get();
}

}  // namespace wsi::cuda
