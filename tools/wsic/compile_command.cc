#include "tools/wsic/compile_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "compiler/ir/text.h"
#include "passes/lower.h"
#include "passes/pipeline.h"
#include "runtime/base/content_hash.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/plan/plan_file.h"
#include "runtime/plan/safetensors.h"
#include "tools/wsic/memory_options.h"
#include "tools/wsic/model_options.h"
#include "tools/wsic/plan_summary.h"
#include "tools/wsic/report.h"

namespace wsi {
namespace {

struct Arguments {
  ModelArguments model;
  std::string output;
  std::string device = "cpu";
  std::string precision = "fp32";
  LossKind loss = LossKind::kCrossEntropy;
  bool loss_given = false;
  NormMode norm = NormMode::kAuto;
  bool sync_norm = false;
  OptimizerOptions optimizer;
  bool no_vector_decay = false;
  std::optional<double> learning_rate;
  MemoryArguments memory;
  bool deterministic = false;
  std::string dump_dir;
  std::string dump_after;
  std::string start_at;
  bool json = false;
  bool force = false;
  std::vector<std::string> flags;  // As given, for the plan's provenance.
};

constexpr Bytes kMaxDumpBytes = Bytes{256} << 20;

std::string OptimizerName(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kSgd: return "sgd";
    case OptimizerKind::kMomentum: return "momentum";
    case OptimizerKind::kNesterov: return "nesterov";
    case OptimizerKind::kAdam: return "adam";
    case OptimizerKind::kAdamW: return "adamw";
  }
  return {};
}

std::string LossName(LossKind kind) {
  switch (kind) {
    case LossKind::kNone: return "none";
    case LossKind::kCrossEntropy: return "cross-entropy";
    case LossKind::kBce: return "bce";
    case LossKind::kMse: return "mse";
    case LossKind::kModel: return "model";
  }
  return {};
}

// What the command line can ask for and this version does not do.
Status CheckSupported(const Arguments& a) {
  if (a.precision != "fp32" && a.device == "reference") {
    return UsageError(
        fmt::format("--precision {}: the reference device computes in fp64; leave --precision out",
                    a.precision));
  }
  return CheckOutputPath(a.output, a.force);
}

// XXH3-128 of the model file, of what it is to train and of weights given in place of its own.
// Constants are left out: folding depends on device and input size.
Result<std::string> HashModel(const ModelArguments& model, const Graph& graph) {
  WSI_ASSIGN_OR_RETURN(const std::string of_file, HashFile(model.path));
  Hasher hasher;
  hasher.Add(std::as_bytes(std::span(of_file)));
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{i});
    if (value.role != Role::kParameter && value.role != Role::kState) continue;
    const Tensor* tensor = graph.tensors().Find(value.tensor);
    if (tensor != nullptr) hasher.Add(tensor->bytes());
  }
  for (const auto& [name, tensor] : model.weight_map) hasher.Add(tensor.bytes());
  return hasher.Finish().ToHex();
}

// Beside the dumps, the tensors that they only name.
Status WriteDumpTensors(const Graph& graph, const std::string& directory) {
  std::vector<std::pair<std::string, const Tensor*>> tensors;
  for (const auto& [name, tensor] : graph.tensors().tensors()) tensors.emplace_back(name, &tensor);
  return WriteSafetensors(directory + "/tensors.safetensors", tensors, {}, {.force = true});
}

Result<PipelineOptions> MakePipelineOptions(const Arguments& a) {
  PipelineOptions options;
  options.widen = a.device == "reference";
  if (a.precision == "fp16") options.precision = DType::kF16;
  options.loss_scale = a.precision == "fp16";
  if (a.precision == "bf16") options.precision = DType::kBF16;
  WSI_ASSIGN_OR_RETURN(options.memory, ToMemoryOptions(a.memory, a.device));
  WSI_ASSIGN_OR_RETURN(options.workspace, ToWorkspaceOptions(a.memory, a.device));
  options.norm = a.norm;
  options.sync_norm = a.sync_norm;
  options.loss = a.loss;
  options.optimizer = a.optimizer;
  options.optimizer.decay_vectors = !a.no_vector_decay;
  options.dumps.directory = a.dump_dir;
  options.dumps.after = a.dump_after;
  options.dumps.write_tensors = WriteDumpTensors;
  if (!a.start_at.empty()) {
    WSI_ASSIGN_OR_RETURN(std::string text, ReadFile(a.start_at, kMaxDumpBytes));
    options.start_at =
        StartAt{std::filesystem::path(a.start_at).filename().string(), std::move(text)};
  }
  return options;
}

// A model whose one output is its own loss needs no other.
LossKind ChooseLoss(const Arguments& a, const Graph& graph) {
  if (a.loss_given || graph.outputs.size() != 1) return a.loss;
  const Value& output = graph.value(graph.outputs[0]);
  if (output.role != Role::kIntermediate || output.shape.rank() != 0) return a.loss;
  const std::string& op = graph.node(output.producer).op;
  const bool is_loss = op == "SoftmaxCrossEntropyLoss" || op == "NegativeLogLikelihoodLoss";
  return is_loss ? LossKind::kModel : a.loss;
}

void FillTraining(const Arguments& a, LossKind loss, const Graph& infer, plan::Training& training) {
  const OptimizerOptions& o = a.optimizer;
  const bool is_adam = o.kind == OptimizerKind::kAdam || o.kind == OptimizerKind::kAdamW;
  training.set_loss(LossName(loss));
  training.set_optimizer(OptimizerName(o.kind));
  training.set_accumulation_steps(static_cast<int32_t>(o.accumulation_steps));
  training.set_learning_rate(a.learning_rate.value_or(is_adam ? 1e-3 : 1e-2));
  if (!infer.outputs.empty()) {
    const Shape& scores = infer.value(infer.outputs[0]).shape;
    training.set_classes(scores.rank() >= 2 ? scores[1] : 1);
  }
  auto& numbers = *training.mutable_numbers();
  numbers["weight_decay"] = o.weight_decay;
  numbers["clip_norm"] = o.clip_norm;
  if (is_adam) {
    numbers["beta1"] = o.beta1;
    numbers["beta2"] = o.beta2;
    numbers["epsilon"] = o.epsilon;
  } else if (o.kind != OptimizerKind::kSgd) {
    numbers["momentum"] = o.momentum;
  }
}

// What was compiled of one model.
struct Compiled {
  CompiledGraphs graphs;
  LoweredPlan lowered;
};

Result<Compiled> CompilePlan(const Arguments& a, const Graph& imported,
                             const PipelineOptions& options, Bytes* smallest_device_bytes) {
  PassContext context;
  WSI_ASSIGN_OR_RETURN(CompiledGraphs graphs,
                       CompileGraphs(imported, options, context, smallest_device_bytes));
  std::vector<ProgramSource> programs;
  if (graphs.train) programs.push_back({"train", &*graphs.train});
  programs.push_back({"infer", &graphs.infer});
  WSI_ASSIGN_OR_RETURN(LoweredPlan lowered, LowerToPlan(programs));
  plan::Plan& plan = lowered.plan;
  plan.set_device(a.device);
  plan.set_precision(a.device == "reference" ? "fp64" : a.precision);
  plan.set_deterministic(a.deterministic);
  plan.set_managed(a.memory.memory == "managed");
  *plan.mutable_rates() = options.memory.rates;
  if (graphs.train) FillTraining(a, options.loss, graphs.infer, *plan.mutable_training());
  return Compiled{std::move(graphs), std::move(lowered)};
}

// Of a step that does not fit: what it would take with everything on the device, and the
// smallest device that it fits.
void ReportMisfit(const Arguments& a, const Graph& imported, PipelineOptions options,
                  Bytes smallest_device_bytes) {
  options.memory.device_budget = 0;
  options.dumps = {};
  const Result<Compiled> resident = CompilePlan(a, imported, options, nullptr);
  if (!resident.ok()) return;
  PrintSummary({.plan = &resident.value().lowered.plan,
                .path = a.output,
                .json = a.json,
                .fits = false,
                .smallest_device_bytes = smallest_device_bytes});
}

Status Compile(Arguments& a) {
  WSI_RETURN_IF_ERROR(CheckSupported(a));
  WSI_ASSIGN_OR_RETURN(PipelineOptions options, MakePipelineOptions(a));
  WSI_ASSIGN_OR_RETURN(ImportOptions import, ToImportOptions(a.model));
  import.all_float64 = options.widen;  // So that what is folded on the way is exact to f64, too.
  TensorStore tensors;
  WSI_ASSIGN_OR_RETURN(const Graph graph, ImportOnnx(a.model.path, import, &tensors));
  WSI_ASSIGN_OR_RETURN(const std::string model_hash, HashModel(a.model, graph));
  a.model.weight_map.clear();
  options.loss = ChooseLoss(a, graph);
  Bytes smallest = 0;
  Result<Compiled> compiled = CompilePlan(a, graph, options, &smallest);
  if (!compiled.ok()) {
    if (smallest == 0) return compiled.status();
    ReportMisfit(a, graph, options, smallest);
    return ResourceError(
        fmt::format("{}; the smallest device that this step fits has {}: --device-mem {}B",
                    compiled.status().message(), FormatBytes(smallest), smallest));
  }
  LoweredPlan& lowered = compiled.value().lowered;
  plan::Plan& plan = lowered.plan;
  plan.mutable_provenance()->set_model_name(graph.name);
  plan.mutable_provenance()->set_model_hash(model_hash);
  plan.mutable_provenance()->set_compiler("wsic " WSI_VERSION);
  for (const std::string& flag : a.flags) plan.mutable_provenance()->add_flags(flag);
  WSI_RETURN_IF_ERROR(
      WritePlan(a.output, plan, [&](int i) { return lowered.Data(i); }, {.force = a.force}));
  PrintSummary({.plan = &plan, .path = a.output, .json = a.json});
  return {};
}

// The options that decide what the plan is, as "--name=value".
std::vector<std::string> FlagsOf(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_single_name();
    if (option->count() == 0 || name == "MODEL" || name == "output" || name == "force" ||
        name == "json" || name == "help" || name.starts_with("dump")) {
      continue;
    }
    flags.push_back(option->get_items_expected_max() == 0
                        ? "--" + name
                        : fmt::format("--{}={}", name, option->results()[0]));
  }
  return flags;
}

void AddTrainingOptions(CLI::App& command, Arguments& a) {
  const std::map<std::string, LossKind> losses = {{"cross-entropy", LossKind::kCrossEntropy},
                                                  {"bce", LossKind::kBce},
                                                  {"mse", LossKind::kMse},
                                                  {"model", LossKind::kModel},
                                                  {"none", LossKind::kNone}};
  const std::map<std::string, NormMode> norms = {
      {"auto", NormMode::kAuto}, {"train", NormMode::kTrain}, {"frozen", NormMode::kFrozen}};
  const std::map<std::string, OptimizerKind> optimizers = {{"sgd", OptimizerKind::kSgd},
                                                           {"momentum", OptimizerKind::kMomentum},
                                                           {"nesterov", OptimizerKind::kNesterov},
                                                           {"adam", OptimizerKind::kAdam},
                                                           {"adamw", OptimizerKind::kAdamW}};
  OptimizerOptions& o = a.optimizer;
  command
      .add_option("--loss", a.loss,
                  "cross-entropy, bce, mse, model (its own loss node) or none (inference only)")
      ->transform(CLI::CheckedTransformer(losses).description(""));
  command.add_option("--norm", a.norm, "what BatchNormalization does: auto, train or frozen")
      ->transform(CLI::CheckedTransformer(norms).description(""));
  command.add_flag("--sync-norm", a.sync_norm,
                   "batch norm in training mode has the statistics of all ranks' batches");
  command.add_option("--optimizer", o.kind, "sgd, momentum, nesterov, adam or adamw")
      ->transform(CLI::CheckedTransformer(optimizers).description(""));
  command.add_option("--learning-rate", a.learning_rate,
                     "where training starts (default: 0.01; 0.001 for adam and adamw)");
  command.add_option("--momentum", o.momentum)->capture_default_str();
  command.add_option("--beta1", o.beta1)->capture_default_str();
  command.add_option("--beta2", o.beta2)->capture_default_str();
  command.add_option("--epsilon", o.epsilon)->capture_default_str();
  command.add_option("--weight-decay", o.weight_decay)->capture_default_str();
  command.add_flag("--no-vector-decay", a.no_vector_decay, "no weight decay on norms and biases");
  command.add_option("--clip-norm", o.clip_norm, "largest norm of all gradients; 0: no clipping")
      ->capture_default_str();
  command.add_option("--accumulate", o.accumulation_steps, "batches an optimizer step")
      ->capture_default_str();
}

void AddPlanOptions(CLI::App& command, Arguments& a) {
  command.add_option("-o,--output", a.output, "the plan to write")->required();
  command.add_option("--device", a.device, "cpu, cuda or reference (fp64)")
      ->check(CLI::IsMember({"cpu", "cuda", "reference"}))
      ->capture_default_str();
  command.add_option("--precision", a.precision, "fp32, fp16 or bf16")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}))
      ->capture_default_str();
  command.add_flag("--deterministic", a.deterministic, "same bits in every run");
  command.add_option("--dump-dir", a.dump_dir,
                     "write the graph behind every pass into this folder");
  command.add_option("--dump-after", a.dump_after,
                     "regular expression: print the graph behind passes whose name it finds");
  command.add_option("--start-at", a.start_at, "go on from this dump");
  command.add_flag("--json", a.json, "print what was planned as one JSON object");
  command.add_flag("--force", a.force, "replace an existing plan");
}

}  // namespace

void AddCompileCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("compile", "make an execution plan of an ONNX model");
  auto arguments = std::make_shared<Arguments>();
  AddModelOptions(*command, &arguments->model);
  AddPlanOptions(*command, *arguments);
  AddMemoryOptions(*command, &arguments->memory);
  AddTrainingOptions(*command, *arguments);
  command->callback([=] {
    arguments->loss_given = command->count("--loss") > 0;
    arguments->flags = FlagsOf(*command);
    *exit_code = Report("compile", Compile(*arguments));
  });
}

}  // namespace wsi
