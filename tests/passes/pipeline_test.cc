#include "passes/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "compiler/ir/text.h"

namespace wsi {
namespace {

// A residual block with everything that the two programs treat differently.
constexpr std::string_view kModel = R"(wsir 1
graph "block"
%x : f32[1,2,4,4] input
%w : f32[2,2,1,1] parameter tensor "w"
%s : f32[2] parameter tensor "s"
%b : f32[2] parameter tensor "b"
%m : f32[2] state tensor "m"
%v : f32[2] state tensor "v"
%half : f32[1] constant tensor "half" = [0.5]
%unused : f32[2] parameter tensor "unused"

%c : f32[1,2,4,4] = Conv(%x, %w) {dilations=[1, 1], group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]} forward "conv"
%n : f32[1,2,4,4] = BatchNormalization(%c, %s, %b, %m, %v) {epsilon=0.001, momentum=0.75, training_mode=1} forward "bn"
%a : f32[1,2,4,4] = Add(%n, %x) forward "add"
%r : f32[1,2,4,4] = Relu(%a) forward "relu"
%p : f32[1,2] = ReduceMean(%r) {axes=[2, 3], keepdims=0} forward "pool"
%d : f32[1,2] = Dropout(%p) {ratio=0.5, seed_id=5} forward "dropout"
%h : f32[1] = Neg(%half) forward "neg"
%y : f32[1,2] = Mul(%d, %h) forward "scaled"
%z : f32[1,2] = Mul(%p, %unused) forward "second"

outputs %y, %z
)";

Graph ParseModel(TensorStore& store) {
  Result<Graph> graph = ParseGraph(kModel, &store);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return std::move(graph).value();
}

// Compiles the model with `options` on a store of its own.
struct Compiled {
  TensorStore store;
  std::vector<std::string> notes;
  std::optional<CompiledGraphs> graphs;
  Status status;

  explicit Compiled(const PipelineOptions& options) {
    PassContext context([this](std::string_view pass, std::string_view text) {
      notes.push_back(std::string(pass) + ": " + std::string(text));
    });
    Result<CompiledGraphs> result = CompileGraphs(ParseModel(store), options, context);
    status = result.status();
    if (result.ok()) graphs.emplace(std::move(result).value());
  }
};

PipelineOptions Training() {
  PipelineOptions options;
  options.optimizer.kind = OptimizerKind::kAdam;
  options.optimizer.accumulation_steps = 2;
  return options;
}

PipelineOptions HalfTraining() {
  PipelineOptions options = Training();
  options.precision = DType::kF16;
  options.loss_scale = true;
  return options;
}

class Folder {
 public:
  Folder() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            (std::string("wsi_pipeline_") + info->name() + std::to_string(getpid()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> FileNames(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void ExpectAgreement(const Compiled& compiled) {
  ASSERT_TRUE(compiled.status.ok()) << compiled.status.message();
  const Graph& train = *compiled.graphs->train;
  const Graph& infer = compiled.graphs->infer;
  int shared = 0;
  for (int32_t i = 0; i < infer.value_count(); ++i) {
    const Value& value = infer.value(ValueId{i});
    if (!IsPersistent(value.role)) continue;
    const ValueId id = train.FindValue(value.name);
    ASSERT_TRUE(id.valid()) << value.name;
    const Value& other = train.value(id);
    EXPECT_EQ(value.role, other.role) << value.name;
    EXPECT_EQ(value.dtype, other.dtype) << value.name;
    EXPECT_EQ(value.shape, other.shape) << value.name;
    EXPECT_EQ(value.permutation, other.permutation) << value.name;
    EXPECT_EQ(value.tensor, other.tensor) << value.name;
    EXPECT_EQ(infer.buffers[static_cast<size_t>(value.buffer.index)].offset,
              train.buffers[static_cast<size_t>(other.buffer.index)].offset)
        << value.name;
    ++shared;
  }
  EXPECT_EQ(shared, 6);  // w, s, b, m, v and the untrained weight; a scalar is in its program.
  EXPECT_FALSE(infer.FindValue("seed").valid());
  EXPECT_TRUE(train.FindValue("seed").valid());
  EXPECT_THAT(compiled.notes, testing::Contains(testing::HasSubstr("'unused'")));
}

TEST(Pipeline, ProgramsAgreeOnWhatPersists) {
  ExpectAgreement(Compiled(Training()));
  ExpectAgreement(Compiled(HalfTraining()));
}

TEST(Pipeline, HalfPrecisionKeepsWhatIsTrainedAndWhatIsReadInSingle) {
  const Compiled compiled(HalfTraining());
  ASSERT_TRUE(compiled.status.ok()) << compiled.status.message();
  for (const Graph* graph : {&*compiled.graphs->train, &compiled.graphs->infer}) {
    for (int32_t i = 0; i < graph->value_count(); ++i) {
      const Value& value = graph->value(ValueId{i});
      if (value.role != Role::kParameter && value.role != Role::kState) continue;
      EXPECT_EQ(value.dtype, DType::kF32) << value.name;
    }
    for (const ValueId output : graph->outputs) EXPECT_EQ(graph->value(output).dtype, DType::kF32);
    EXPECT_EQ(graph->value(graph->FindValue("x")).dtype, DType::kF16);
    EXPECT_EQ(graph->value(graph->FindValue("c")).dtype, DType::kF16);
  }
  EXPECT_EQ(compiled.graphs->train->gradients.size(), 3U);
  for (const ParameterGradient& pair : compiled.graphs->train->gradients) {
    EXPECT_EQ(compiled.graphs->train->value(pair.gradient).dtype, DType::kF32);
  }
}

TEST(Pipeline, WithoutALossThereIsOnlyInference) {
  PipelineOptions options;
  options.loss = LossKind::kNone;
  const Compiled compiled(options);
  ASSERT_TRUE(compiled.status.ok()) << compiled.status.message();
  EXPECT_FALSE(compiled.graphs->train.has_value());
  EXPECT_GT(compiled.graphs->infer.device_bytes(), 0);
}

TEST(Pipeline, DumpsAreTheSameBytesEveryTime) {
  const Folder folder;
  PipelineOptions options = Training();
  options.dumps.directory = (folder.path() / "a").string();
  ASSERT_TRUE(Compiled(options).status.ok());
  options.dumps.directory = (folder.path() / "b").string();
  ASSERT_TRUE(Compiled(options).status.ok());
  EXPECT_THAT(
      FileNames(folder.path() / "a"),
      testing::ElementsAre("00.import.wsir", "01.simplify.wsir", "02.norm.wsir", "03.layout.wsir",
                           "04.loss.wsir", "05.autodiff.wsir", "06.optimizer.wsir", "07.fuse.wsir",
                           "08.schedule.wsir", "09.residency.wsir", "10.group.wsir",
                           "11.prefetch.wsir", "12.spill.wsir", "13.defer.wsir", "14.assign.wsir"));
  for (const std::string sub : {".", "infer"}) {
    const std::vector<std::string> names = FileNames(folder.path() / "a" / sub);
    EXPECT_EQ(names, FileNames(folder.path() / "b" / sub));
    for (const std::string& name : names) {
      EXPECT_EQ(ReadText(folder.path() / "a" / sub / name),
                ReadText(folder.path() / "b" / sub / name))
          << sub << "/" << name;
    }
  }
}

void ExpectToGoOnFromEveryDump(PipelineOptions options) {
  const Folder folder;
  options.dumps.directory = folder.path().string();
  const Compiled whole(options);
  ASSERT_TRUE(whole.status.ok());
  options.dumps.directory.clear();
  for (const std::string& name : FileNames(folder.path())) {
    options.start_at = StartAt{name, ReadText(folder.path() / name)};
    const Compiled resumed(options);
    ASSERT_TRUE(resumed.status.ok()) << name << ": " << resumed.status.message();
    EXPECT_EQ(PrintGraph(*resumed.graphs->train), PrintGraph(*whole.graphs->train)) << name;
    EXPECT_EQ(PrintGraph(resumed.graphs->infer), PrintGraph(whole.graphs->infer)) << name;
  }
}

TEST(Pipeline, GoesOnFromEveryDump) {
  ExpectToGoOnFromEveryDump(Training());
  ExpectToGoOnFromEveryDump(HalfTraining());
}

TEST(Pipeline, RejectsADumpOfAnotherPipeline) {
  PipelineOptions options = Training();
  options.start_at = StartAt{"03.fuse.wsir", std::string(kModel)};
  EXPECT_EQ(Compiled(options).status.code(), ErrorCode::kUsage);
}

TEST(Pipeline, WidensEverythingForTheReferenceDevice) {
  PipelineOptions options = Training();
  options.widen = true;
  const Compiled compiled(options);
  ASSERT_TRUE(compiled.status.ok()) << compiled.status.message();
  for (const Graph* graph : {&*compiled.graphs->train, &compiled.graphs->infer}) {
    for (int32_t i = 0; i < graph->value_count(); ++i) {
      const Value& value = graph->value(ValueId{i});
      EXPECT_TRUE(!IsFloat(value.dtype) || value.dtype == DType::kF64) << value.name;
    }
  }
}

TEST(AllPasses, RejectUnknownOptions) {
  for (const PassEntry& entry : AllPasses()) {
    const Result<PassFunction> made = entry.make({{"no_such_option", int64_t{1}}});
    EXPECT_EQ(made.status().code(), ErrorCode::kUsage) << entry.name;
    EXPECT_TRUE(entry.make({}).ok()) << entry.name;
  }
}

}  // namespace
}  // namespace wsi
