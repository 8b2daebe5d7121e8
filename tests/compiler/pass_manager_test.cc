#include "compiler/pass/pass_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "compiler/ir/text.h"
#include "compiler/pass/pass_list.h"

namespace wsi {
namespace {

using testing::HasSubstr;

constexpr std::string_view kGraph =
    "wsir 1\n"
    "graph \"g\"\n\n"
    "%x : f32[2] input\n\n"
    "%y : f32[2] = Relu(%x) forward \"relu\"\n"
    "%z : f32[2] = Neg(%y) forward \"neg\"\n\n"
    "outputs %z\n";

// Renames the graph; says so or not.
Pass Rename(std::string name, bool says_so = true) {
  return {name, [name, says_so](Graph& graph, PassContext& context) -> Result<bool> {
            context.Note("renames");
            const bool changed = graph.name != name;
            graph.name = name;
            return changed == says_so;
          }};
}

class PassManager : public testing::Test {
 protected:
  PassManager()
      : graph_(ParseGraph(kGraph, &tensors_).value()),
        context_([this](std::string_view pass, std::string_view text) {
          notes_ += std::string(pass) + ": " + std::string(text) + "\n";
        }) {
    directory_ = std::filesystem::path(testing::TempDir()) /
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    dumps_.directory = directory_.string();
  }
  ~PassManager() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(directory_ / name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  TensorStore tensors_;
  Graph graph_;
  std::string notes_;
  PassContext context_;
  std::filesystem::path directory_;
  DumpOptions dumps_;
};

TEST_F(PassManager, DumpsBehindEveryPassAndResumesBehindEach) {
  const std::vector<Pass> passes = {Rename("first-name"), Rename("second"), Rename("third")};
  int sidecars = 0;
  dumps_.write_tensors = [&](const Graph&, const std::string& directory) {
    EXPECT_EQ(directory, directory_.string());
    ++sidecars;
    return Status();
  };
  ASSERT_EQ(RunPasses(graph_, passes, dumps_, context_).message(), "");
  EXPECT_THAT(Files(), testing::ElementsAre("00.import.wsir", "01.first-name.wsir",
                                            "02.second.wsir", "03.third.wsir"));
  EXPECT_EQ(Read("00.import.wsir"), kGraph);
  EXPECT_EQ(Read("03.third.wsir"), PrintGraph(graph_));
  EXPECT_EQ(sidecars, 1);
  EXPECT_EQ(notes_, "first-name: renames\nsecond: renames\nthird: renames\n");

  for (const std::string& file : Files()) {
    TensorStore fresh;
    Graph resumed = ParseGraph(Read(file), &fresh).value();
    const Result<size_t> behind = PassesBehindDump((directory_ / file).string(), passes);
    ASSERT_TRUE(behind.ok()) << behind.status().message();
    ASSERT_EQ(RunPasses(resumed, passes, {}, context_, *behind).message(), "");
    EXPECT_TRUE(resumed == graph_) << file;
  }
}

TEST_F(PassManager, NamesTheProgramInItsDumps) {
  dumps_.program = "infer";
  const std::vector<Pass> passes = {Rename("only")};
  ASSERT_EQ(RunPasses(graph_, passes, dumps_, context_).message(), "");
  EXPECT_THAT(Files(), testing::ElementsAre("00.import.infer.wsir", "01.only.infer.wsir"));
  EXPECT_EQ(PassesBehindDump("a/01.only.infer.wsir", passes).value(), 1u);
}

TEST_F(PassManager, RefusesDumpsOfAnotherPipeline) {
  const std::vector<Pass> passes = {Rename("only")};
  for (const char* name :
       {"", "x", "01", "01.only", "02.only.wsir", "01.other.wsir", "1x.only.wsir", "-1.only.wsir",
        "00.only.wsir", "99999999999999999999.only.wsir"}) {
    const Result<size_t> behind = PassesBehindDump(name, passes);
    ASSERT_FALSE(behind.ok()) << name;
    EXPECT_EQ(behind.status().code(), ErrorCode::kUsage);
  }
}

TEST_F(PassManager, FailsAPassThatLiesAboutAChange) {
  for (const bool already_named : {false, true}) {
    if (already_named) graph_.name = "liar";
    const std::vector<Pass> passes = {Rename("liar", false)};
    const Status status = RunPasses(graph_, passes, {}, context_);
    EXPECT_EQ(status.code(), ErrorCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("pass 'liar' says that it"));
  }
}

TEST_F(PassManager, FailsAPassThatBreaksTheGraphAndStillWritesTheTensors) {
  const std::vector<Pass> passes = {{"breaker", [](Graph& graph, PassContext&) -> Result<bool> {
                                       graph.node(NodeId{0}).op = "Nothing";
                                       return true;
                                     }}};
  int sidecars = 0;
  dumps_.write_tensors = [&](const Graph&, const std::string&) {
    ++sidecars;
    return Status();
  };
  const Status status = RunPasses(graph_, passes, dumps_, context_);
  EXPECT_EQ(status.code(), ErrorCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("pass 'breaker' left an invalid graph: Nothing 'relu'"));
  EXPECT_EQ(sidecars, 1);
}

TEST_F(PassManager, KeepsThePassesOwnErrorAndItsCode) {
  const std::vector<Pass> passes = {
      {"fitter", [](Graph&, PassContext&) -> Result<bool> { return ResourceError("too big"); }}};
  const Status status = RunPasses(graph_, passes, {}, context_);
  EXPECT_EQ(status.code(), ErrorCode::kResources);
  EXPECT_EQ(status.message(), "fitter: too big");
}

TEST_F(PassManager, RefusesAnInvalidGraphAndABadExpression) {
  DumpOptions bad;
  bad.after = "(";
  EXPECT_EQ(RunPasses(graph_, {}, bad, context_).code(), ErrorCode::kUsage);
  graph_.node(NodeId{0}).op = "Nothing";
  EXPECT_EQ(RunPasses(graph_, {}, {}, context_).code(), ErrorCode::kInvalidInput);
}

TEST_F(PassManager, PrintsDumpsThatTheExpressionFinds) {
  DumpOptions dumps;
  dumps.after = "^sec";
  testing::internal::CaptureStderr();
  ASSERT_EQ(RunPasses(graph_, std::vector<Pass>{Rename("first"), Rename("second")}, dumps, context_)
                .message(),
            "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "# 02.second.wsir\n" + PrintGraph(graph_) + "\n");
}

Result<PassFunction> MakeNamed(const Attributes& options) {
  if (options.entries().size() != 1 || !options.Has("name")) {
    return UsageError("wants option name=\"...\"");
  }
  return Rename(options.String("name", "")).run;
}

TEST(PassList, BuildsPassesWithTheirOptions) {
  const std::vector<PassEntry> entries = {{"set-name", "", MakeNamed}};
  const Result<std::vector<Pass>> passes =
      ParsePassList("set-name{name=\"a,}b\"}, set-name{name=\"c\"}", entries);
  ASSERT_TRUE(passes.ok()) << passes.status().message();
  ASSERT_EQ(passes->size(), 2u);
  TensorStore tensors;
  Graph graph = ParseGraph(kGraph, &tensors).value();
  PassContext quiet([](std::string_view, std::string_view) {});
  ASSERT_EQ(RunPasses(graph, std::span(*passes).first(1), {}, quiet).message(), "");
  EXPECT_EQ(graph.name, "a,}b");
}

TEST(PassList, SaysWhatIsWrong) {
  const std::vector<PassEntry> entries = {{"set-name", "", MakeNamed}, {"other", "", MakeNamed}};
  const auto error = [&](std::string_view list) {
    const auto passes = ParsePassList(list, entries);
    EXPECT_EQ(passes.status().code(), ErrorCode::kUsage);
    return passes.status().message();
  };
  EXPECT_EQ(error("fuse"), "no pass 'fuse'; there are: set-name, other");
  EXPECT_THAT(error(""), HasSubstr("no pass ''"));
  EXPECT_EQ(error("set-name"), "pass 'set-name': wants option name=\"...\"");
  EXPECT_THAT(error("set-name{name=}"), HasSubstr("options of pass 'set-name': 1:7: expected"));
}

}  // namespace
}  // namespace wsi
