#include "tools/wsi-onnx-conformance/conformance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <utility>

#include "frontends/onnx/backend_case.h"
#include "frontends/onnx/import.h"
#include "passes/lower.h"
#include "passes/pipeline.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan_types.h"
#include "tools/wsi-onnx-conformance/comparison.h"

namespace wsi {
namespace {

namespace fs = std::filesystem;

// Plans live for one case: nothing is lost if the machine stops before they are on disk.
class NoSync final : public FileOps {
 public:
  int Sync(int /*fd*/) override { return 0; }
};

struct CaseData {
  ModelInterface interface;
  WeightMap inputs;  // Those that the case gives, by name.
  std::vector<std::pair<std::string, Tensor>> outputs;
};

// The tensors of an input or output in the file `path`, under their names in the graph.
Result<std::vector<std::pair<std::string, Tensor>>> ReadValue(const InterfaceValue& value,
                                                              const std::string& path) {
  std::vector<std::pair<std::string, Tensor>> named;
  if (value.is_tensor) {
    WSI_ASSIGN_OR_RETURN(Tensor tensor, ReadTensorFile(path));
    named.emplace_back(value.name, std::move(tensor));
  } else if (value.is_sequence) {
    WSI_ASSIGN_OR_RETURN(std::vector<Tensor> tensors, ReadSequenceFile(path));
    for (size_t i = 0; i < tensors.size(); ++i) {
      named.emplace_back(ElementName(value.name, i), std::move(tensors[i]));
    }
  } else {
    return InvalidInput(fmt::format("'{}' is no tensor and no sequence", value.name));
  }
  return named;
}

Result<CaseData> ReadCase(const std::string& folder, const std::string& data) {
  CaseData found;
  WSI_ASSIGN_OR_RETURN(found.interface, ReadModelInterface(folder + "/model.onnx"));
  for (size_t i = 0; i < found.interface.inputs.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(
        auto named, ReadValue(found.interface.inputs[i], fmt::format("{}/input_{}.pb", data, i)));
    for (auto& [name, tensor] : named) found.inputs.emplace(name, std::move(tensor));
  }
  for (size_t i = 0; i < found.interface.outputs.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(
        auto named, ReadValue(found.interface.outputs[i], fmt::format("{}/output_{}.pb", data, i)));
    std::ranges::move(named, std::back_inserter(found.outputs));
  }
  return found;
}

// From opset 12 on, a Dropout that is left is one in training mode.
Status RefuseRandomness(const Graph& graph, int64_t opset) {
  const bool draws =
      std::ranges::any_of(graph.order(), [&](NodeId id) { return graph.node(id).op == "Dropout"; });
  if (!draws || opset < 12) return {};
  return InvalidInput("draws random numbers, which come from another generator than the case's");
}

// The model as an inference plan in a file.
Status CompileCase(const std::string& model, const CaseData& data, std::string_view device,
                   const std::string& plan_path) {
  TensorStore tensors;
  ImportOptions import;
  import.input_contents = &data.inputs;
  WSI_ASSIGN_OR_RETURN(Graph graph, ImportOnnx(model, import, &tensors));
  WSI_RETURN_IF_ERROR(RefuseRandomness(graph, data.interface.opset));
  PassContext silent([](std::string_view, std::string_view) {});
  PipelineOptions options;
  const bool is_reference = device == "reference";
  options.widen = is_reference;
  options.workspace.device = device;
  options.loss = LossKind::kNone;
  WSI_ASSIGN_OR_RETURN(const CompiledGraphs graphs,
                       CompileGraphs(std::move(graph), options, silent));
  const ProgramSource program{"infer", &graphs.infer};
  WSI_ASSIGN_OR_RETURN(LoweredPlan lowered, LowerToPlan({&program, 1}));
  lowered.plan.set_device(std::string(device));
  lowered.plan.set_precision(is_reference ? "fp64" : "fp32");
  NoSync no_sync;
  return WritePlan(plan_path, lowered.plan, [&](int i) { return lowered.Data(i); },
                   {.force = true, .ops = &no_sync});
}

// The case's tensor for a value that the program reads, in the order of the value's axes.
Result<Tensor> InputFor(const plan::Value& value, const WeightMap& inputs) {
  const auto at = inputs.find(value.name());
  if (at == inputs.end()) {
    return InternalError(fmt::format("the plan reads '{}', which is no input", value.name()));
  }
  if (value.permutation().empty()) return at->second.Clone();
  return at->second.Permute(
      std::vector<int64_t>(value.permutation().begin(), value.permutation().end()));
}

Status WriteInputs(Executor& executor, const WeightMap& inputs) {
  const plan::Program& program = executor.plan().programs(0);
  for (int i = 0; i < program.inputs_size(); ++i) {
    WSI_ASSIGN_OR_RETURN(const Tensor tensor,
                         InputFor(executor.plan().values(program.inputs(i)), inputs));
    WSI_RETURN_IF_ERROR(executor.WriteInput(0, i, tensor));
  }
  if (program.target() < 0) return {};
  WSI_ASSIGN_OR_RETURN(const Tensor target,
                       InputFor(executor.plan().values(program.target()), inputs));
  return executor.WriteTarget(0, target);
}

// The outputs of floating-point models may be wider than the model's.
void CompareOutputs(const Executor& executor, const CaseData& data, CaseResult& result) {
  const int outputs = executor.plan().programs(0).outputs_size();
  if (static_cast<size_t>(outputs) != data.outputs.size()) {
    result.outcome = Outcome::kFailed;
    result.message = fmt::format("{} outputs, expected {}", outputs, data.outputs.size());
    return;
  }
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    const Result<Tensor> output = executor.ReadOutput(0, static_cast<int>(i));
    Comparison comparison;
    if (output.ok()) {
      comparison = Compare(*output, data.outputs[i].second, Tolerance(), true);
    } else {
      comparison.agrees = false;
      comparison.message = output.status().message();
    }
    result.largest_difference = std::max(result.largest_difference, comparison.largest_difference);
    if (comparison.agrees || result.outcome == Outcome::kFailed) continue;
    result.outcome = Outcome::kFailed;
    result.message = fmt::format("output '{}': {}", data.outputs[i].first, comparison.message);
  }
}

// What is refused is not supported; anything else that goes wrong is a failure.
void Report(const Status& status, CaseResult& result) {
  if (status.ok()) return;
  const bool refused = status.code() == ErrorCode::kInvalidInput;
  result.outcome = refused ? Outcome::kUnsupported : Outcome::kFailed;
  result.message = status.message();
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed: return "pass";
    case Outcome::kFailed: return "fail";
    case Outcome::kUnsupported: return "unsupported";
  }
  return {};
}

void Counts::Add(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed: ++passed; break;
    case Outcome::kFailed: ++failed; break;
    case Outcome::kUnsupported: ++unsupported; break;
  }
}

Result<std::vector<std::string>> FindCases(const std::string& folder) {
  std::vector<std::string> cases;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().filename() == "model.onnx") cases.push_back(at->path().parent_path().string());
  }
  if (error) return IoError(fmt::format("{}: {}", folder, error.message()));
  std::ranges::sort(cases);
  return cases;
}

Result<ConformanceRunner> ConformanceRunner::Make(const std::string& device) {
  std::unique_ptr<Backend> backend;
  if (device == "cpu") {
    backend = MakeCpuBackend({.threads = 2});
  } else if (device == "reference") {
    backend = MakeReferenceBackend();
  } else if (device == "cuda") {
    WSI_ASSIGN_OR_RETURN(backend, MakeCudaBackend({}));
  } else {
    return UsageError(fmt::format("--device {}: there are cpu, cuda and reference", device));
  }
  std::string scratch = (fs::temp_directory_path() / "wsi-conformance-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) {
    return IoError(fmt::format("{}: no folder for plans can be made", scratch));
  }
  return ConformanceRunner(std::move(scratch), std::move(backend));
}

ConformanceRunner::ConformanceRunner(std::string scratch, std::unique_ptr<Backend> backend)
    : scratch_(std::move(scratch)), backend_(std::move(backend)) {}

ConformanceRunner::ConformanceRunner(ConformanceRunner&& other) noexcept
    : scratch_(std::exchange(other.scratch_, {})), backend_(std::move(other.backend_)) {}

ConformanceRunner::~ConformanceRunner() {
  std::error_code ignored;
  if (!scratch_.empty()) fs::remove_all(scratch_, ignored);
}

Status ConformanceRunner::RunData(const std::string& folder, const std::string& data,
                                  CaseResult& result) {
  WSI_ASSIGN_OR_RETURN(const CaseData found, ReadCase(folder, data));
  const std::string plan_path = scratch_ + "/case.plan";
  WSI_RETURN_IF_ERROR(CompileCase(folder + "/model.onnx", found, backend_->name(), plan_path));
  WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(plan_path));
  WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                       Executor::Make(&file, backend_.get()));
  WSI_RETURN_IF_ERROR(WriteInputs(*executor, found.inputs));
  const Result<double> ran = executor->Run(0, kAllPhases);
  if (!ran.ok()) {
    result.outcome = Outcome::kFailed;
    result.message = ran.status().message();
    return {};
  }
  CompareOutputs(*executor, found, result);
  return {};
}

CaseResult ConformanceRunner::Run(const std::string& folder, const std::string& name) {
  CaseResult result;
  result.name = name;
  const Result<ModelInterface> interface = ReadModelInterface(folder + "/model.onnx");
  Report(interface.status(), result);
  if (!interface.ok()) return result;
  result.ops = interface->ops;
  int sets = 0;
  for (;; ++sets) {
    const std::string data = fmt::format("{}/test_data_set_{}", folder, sets);
    if (!fs::exists(data)) break;
    Report(RunData(folder, data, result), result);
    if (result.outcome != Outcome::kPassed) return result;
  }
  if (sets == 0) Report(InvalidInput("holds no test_data_set_0"), result);
  return result;
}

std::map<std::string, Counts> SummarizeByOp(const std::vector<CaseResult>& results) {
  std::map<std::string, Counts> summary;
  for (const CaseResult& result : results) {
    for (const std::string& op : result.ops) summary[op].Add(result.outcome);
  }
  return summary;
}

}  // namespace wsi
