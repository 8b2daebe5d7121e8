#include "tests/train/tiny_run.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/ir/text.h"
#include "passes/lower.h"
#include "passes/pipeline.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/base/philox.h"
#include "runtime/plan/plan.pb.h"
#include "tests/slides/slide_files.h"

namespace wsi {
namespace {

std::string TinyGraph(const TinyModel& model) {
  constexpr std::string_view kText = R"(wsir 1
graph "tiny"
%x : f32[{0},3,16,16] input
%w : f32[4,3,3,3] parameter tensor "conv.weight"
{5}%f : f32[2,4] parameter tensor "fc.weight"
%g : f32[2] parameter tensor "fc.bias"

%c : f32[{0},4,8,8] = Conv(%x, %w) {{dilations=[1, 1], group=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]}} forward "conv"
{3}%r : f32[{0},4,8,8] = Relu({4}) forward "relu"
%p : f32[{0},4] = ReduceMean(%r) {{axes=[2, 3], keepdims=0}} forward "pool"
{1}%y : f32[{0},2] = Gemm({2}, %f, %g) {{alpha=1.0, beta=1.0, transA=0, transB=1}} forward "fc"

outputs %y
)";
  const std::string dropout = fmt::format(
      "%d : f32[{},4] = Dropout(%p) {{ratio=0.5, seed_id=5}} forward \"dropout\"\n", model.batch);
  constexpr std::string_view kNormValues = R"(%s : f32[4] parameter tensor "bn.weight"
%b : f32[4] parameter tensor "bn.bias"
%m : f32[4] state tensor "bn.running_mean"
%v : f32[4] state tensor "bn.running_var"
)";
  const std::string norm = fmt::format(
      "%n : f32[{},4,8,8] = BatchNormalization(%c, %s, %b, %m, %v) {{epsilon=0.001, momentum=0.9, "
      "training_mode=1}} forward \"bn\"\n",
      model.batch);
  return fmt::format(fmt::runtime(kText), model.batch, model.dropout ? dropout : "",
                     model.dropout ? "%d" : "%p", model.norm ? norm : "", model.norm ? "%n" : "%c",
                     model.norm ? kNormValues : "");
}

void AddWeights(TensorStore& store, float stretch) {
  const auto add = [&store](const char* name, Shape shape, float scale, float shift) {
    Tensor tensor = *Tensor::Make(DType::kF32, std::move(shape));
    const PhiloxStream random(1, 0, static_cast<int64_t>(name[0]) + name[3]);
    const std::span<float> data = tensor.data<float>();
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = shift + scale * (2 * random.Uniform(static_cast<int64_t>(i)) - 1);
    }
    store.Add(name, std::move(tensor));
  };
  add("conv.weight", {4, 3, 3, 3}, 0.5F, 0);
  add("bn.weight", {4}, 0, stretch);
  add("bn.bias", {4}, 0, 0);
  add("bn.running_mean", {4}, 0, 0);
  add("bn.running_var", {4}, 0, 1);
  add("fc.weight", {2, 4}, 0.5F / stretch, 0);
  add("fc.bias", {2}, 0, 0);
}

const char* NameOf(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kSgd: return "sgd";
    case OptimizerKind::kMomentum: return "momentum";
    case OptimizerKind::kNesterov: return "nesterov";
    case OptimizerKind::kAdam: return "adam";
    case OptimizerKind::kAdamW: return "adamw";
  }
  return "";
}

}  // namespace

Status WriteTinyPlan(const std::string& path, const TinyModel& model) {
  TensorStore store;
  AddWeights(store, model.stretch);
  WSI_ASSIGN_OR_RETURN(Graph graph, ParseGraph(TinyGraph(model), &store));
  PipelineOptions options;
  options.optimizer = model.optimizer;
  options.precision = model.precision;
  options.loss_scale = model.loss_scale;
  PassContext context;
  WSI_ASSIGN_OR_RETURN(const CompiledGraphs graphs,
                       CompileGraphs(std::move(graph), options, context));
  const std::vector<ProgramSource> programs = {{"train", &*graphs.train}, {"infer", &graphs.infer}};
  WSI_ASSIGN_OR_RETURN(LoweredPlan lowered, LowerToPlan(programs));
  lowered.plan.set_device("cpu");
  lowered.plan.set_precision(model.precision == DType::kF16    ? "fp16"
                             : model.precision == DType::kBF16 ? "bf16"
                                                               : "fp32");
  lowered.plan.mutable_provenance()->set_model_hash("tiny");
  plan::Training& training = *lowered.plan.mutable_training();
  training.set_loss("cross-entropy");
  training.set_optimizer(NameOf(model.optimizer.kind));
  training.set_accumulation_steps(static_cast<int32_t>(model.optimizer.accumulation_steps));
  training.set_classes(2);
  return WritePlan(path, lowered.plan, [&](int i) { return lowered.Data(i); }, {.force = true});
}

Manifest MakeTinySlides(const TempFolder& folder, int64_t count, int64_t bad, int64_t validation) {
  Manifest manifest;
  manifest.path = folder.Path("slides.csv");
  manifest.class_names = {"normal", "tumor"};
  for (int64_t i = 0; i < count; ++i) {
    SlideRow row;
    row.slide_id = fmt::format("slide-{}", i);
    row.path = folder.Path(row.slide_id + ".tiff");
    row.class_index = i % 2;
    row.label = manifest.class_names[static_cast<size_t>(row.class_index)];
    row.split = i < validation ? "val" : "train";
    if (i == bad) {
      folder.Put(row.slide_id + ".tiff", "no slide");
    } else {
      WriteSlide(row.path, 128, 128, static_cast<uint64_t>(i + 1));
    }
    manifest.rows.push_back(std::move(row));
  }
  return manifest;
}

TinyExecutor TinyExecutor::Make(const std::string& plan, int threads) {
  TinyExecutor tiny;
  Result<PlanFile> file = ReadPlan(plan);
  EXPECT_TRUE(file.ok()) << file.status().message();
  tiny.file = std::make_unique<PlanFile>(std::move(file).value());
  tiny.backend = MakeCpuBackend({.threads = threads});
  Result<std::unique_ptr<Executor>> executor = Executor::Make(tiny.file.get(), tiny.backend.get());
  EXPECT_TRUE(executor.ok()) << executor.status().message();
  tiny.executor = std::move(executor).value();
  return tiny;
}

std::vector<std::string> TinyExecutor::Values() const {
  std::vector<std::string> values;
  for (int i = 0; i < executor->plan().persistents_size(); ++i) {
    const Result<Tensor> tensor = executor->ReadPersistent(i);
    EXPECT_TRUE(tensor.ok()) << tensor.status().message();
    const std::span<const std::byte> bytes = tensor->bytes();
    values.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return values;
}

void TinyExecutor::Fill(bool optimizer_state, float value) {
  const plan::Plan& plan = executor->plan();
  for (int i = 0; i < plan.persistents_size(); ++i) {
    const plan::Role role = plan.values(plan.persistents(i).value()).role();
    if (role != plan::ROLE_PARAMETER && role != plan::ROLE_STATE) continue;
    if (plan.persistents(i).optimizer_state() != optimizer_state) continue;
    Tensor tensor = *executor->ReadPersistent(i);
    for (float& v : tensor.data<float>()) v = value;
    const Status written = executor->WritePersistent(i, tensor);
    EXPECT_TRUE(written.ok()) << written.message();
  }
}

TinyOutcome TrainTiny(const std::string& plan, const Manifest& manifest,
                      const TrainOptions& options, bool resume, bool stop, int threads) {
  TinyExecutor tiny = TinyExecutor::Make(plan, threads);
  std::filesystem::create_directories(options.run_dir);
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
  for (size_t i = 0; i < manifest.rows.size(); ++i) {
    (manifest.rows[i].split == "val" ? validation : train).push_back(static_cast<int64_t>(i));
  }
  TinyOutcome outcome;
  Result<std::unique_ptr<Trainer>> trainer =
      Trainer::Make(tiny.executor.get(), &manifest, train, validation, options);
  if (!trainer.ok()) return {trainer.status(), {}, {}};
  if (resume) {
    const Result<bool> resumed = (*trainer)->Resume();
    if (!resumed.ok()) return {resumed.status(), {}, {}};
    EXPECT_TRUE(*resumed) << "no checkpoint";
  }
  const std::atomic<bool> stop_now = stop;
  Result<TrainSummary> summary = (*trainer)->Run(stop_now);
  outcome.status = summary.status();
  if (summary.ok()) outcome.summary = *summary;
  outcome.values = tiny.Values();
  return outcome;
}

TinyOutcome TrainTinyStepByStep(const std::string& plan, const Manifest& manifest,
                                const TrainOptions& options) {
  constexpr int kMostSteps = 100;
  TinyOutcome outcome = TrainTiny(plan, manifest, options, false, true);
  for (int i = 0; i < kMostSteps && outcome.status.code() == ErrorCode::kPreempted; ++i) {
    outcome = TrainTiny(plan, manifest, options, true, true);
  }
  return outcome;
}

}  // namespace wsi
