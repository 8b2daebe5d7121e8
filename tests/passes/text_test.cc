// Passes tested by text. Each file text/*.wsirt is one case:
//
//   # What is shown.
//   --run simplify,fuse{option=1}
//   wsir 1
//   ...                      the graph that goes in
//   ====
//   # note: simplify: ...    what the passes said
//   wsir 1
//   ...                      the graph that comes out, or "error: " and the message
//
// With --update, or WSI_UPDATE_TESTS=1 in the environment, the part behind "====" is
// written instead of compared: of every case that runs, so name those that are meant with
// --gtest_filter.
#include "compiler/ir/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "compiler/pass/pass_list.h"
#include "compiler/pass/pass_manager.h"
#include "passes/pipeline.h"

namespace wsi {
namespace {

constexpr std::string_view kFolder = "tests/passes/text";
constexpr std::string_view kSeparator = "====\n";
constexpr std::string_view kRun = "--run ";

bool Updates() {
  const char* value = std::getenv("WSI_UPDATE_TESTS");
  return value != nullptr && std::string_view(value) == "1";
}

struct TextCase {
  std::string head;  // Up to and with the separator.
  std::string run;
  std::string graph;
  std::string expected;
};

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// False where the file has no such form.
bool Split(const std::string& text, TextCase& out) {
  const size_t run = text.starts_with(kRun) ? 0 : text.find(std::string("\n").append(kRun)) + 1;
  if (run == 0 && !text.starts_with(kRun)) return false;
  const size_t run_end = text.find('\n', run);
  const size_t separator = text.find(std::string("\n").append(kSeparator), run);
  if (run_end == std::string::npos || separator == std::string::npos) return false;
  out.run = text.substr(run + kRun.size(), run_end - run - kRun.size());
  out.graph = text.substr(run_end + 1, separator - run_end);
  out.head = text.substr(0, separator + 1 + kSeparator.size());
  out.expected = text.substr(out.head.size());
  return true;
}

void CheckRoundTrip(const Graph& graph) {
  const std::string text = PrintGraph(graph);
  const Result<Graph> parsed = ParseGraph(text, &graph.tensors());
  ASSERT_TRUE(parsed.ok()) << parsed.status().message() << "\n" << text;
  EXPECT_TRUE(*parsed == graph) << text;
  EXPECT_EQ(PrintGraph(*parsed), text);
}

std::string RunCase(const TextCase& test) {
  const auto error = [](const Status& status) { return "error: " + status.message() + "\n"; };
  TensorStore tensors;
  Result<Graph> graph = ParseGraph(test.graph, &tensors);
  if (!graph.ok()) return error(graph.status());
  const Result<std::vector<Pass>> passes = ParsePassList(test.run, AllPasses());
  if (!passes.ok()) return error(passes.status());
  std::string notes;
  PassContext context([&](std::string_view pass, std::string_view text) {
    notes.append("# note: ").append(pass).append(": ").append(text).append("\n");
  });
  CheckRoundTrip(*graph);
  for (const Pass& pass : *passes) {
    const Status status = RunPasses(*graph, std::span(&pass, 1), {}, context);
    if (!status.ok()) return notes + error(status);
    CheckRoundTrip(*graph);
  }
  return notes + PrintGraph(*graph);
}

std::vector<std::string> CaseFiles() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error)) {
    if (entry.path().extension() == ".wsirt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class PassText : public testing::TestWithParam<std::string> {};

TEST_P(PassText, GivesWhatTheFileExpects) {
  const std::filesystem::path path = std::filesystem::path(kFolder) / (GetParam() + ".wsirt");
  TextCase test;
  ASSERT_TRUE(Split(ReadAll(path), test)) << path << ": no '--run' line, or no '====' line";
  const std::string actual = RunCase(test);
  if (Updates()) {
    std::ofstream(path, std::ios::binary) << test.head << actual;
    return;
  }
  EXPECT_EQ(actual, test.expected) << path << ": run with --update where this is right";
}

INSTANTIATE_TEST_SUITE_P(Files, PassText, testing::ValuesIn(CaseFiles()), TestName);

}  // namespace
}  // namespace wsi

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--update") setenv("WSI_UPDATE_TESTS", "1", 1);
  }
  return RUN_ALL_TESTS();
}
