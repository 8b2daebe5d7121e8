// ONNX's backend node cases on both backends: those of operators and types that are imported
// pass unless they are known by name.
#include "tools/wsi-onnx-conformance/conformance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <string>

#include "tests/conformance/node_cases.h"
#include "tools/wsi-onnx-conformance/comparison.h"

namespace wsi {
namespace {

namespace fs = std::filesystem;

// Whether the case needs an operator or a type that is not imported at all.
bool IsOutside(const CaseResult& result) {
  if (result.outcome != Outcome::kUnsupported) return false;
  for (const char* reason :
       {"unsupported operator", "element type", "is no tensor and no sequence",
        "is not a dense tensor", "versions of ONNX's operators", "its opset is"}) {
    if (result.message.find(reason) != std::string::npos) return true;
  }
  return false;
}

// Lines "case: reason" of left_<device>.txt.
std::set<std::string> KnownLeft(const std::string& device) {
  std::ifstream file("tests/conformance/left_" + device + ".txt");
  EXPECT_TRUE(file) << "run from the project's root";
  std::set<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') names.insert(line.substr(0, line.find(':')));
  }
  return names;
}

class NodeCases : public testing::TestWithParam<std::string> {};

TEST_P(NodeCases, PassUnlessKnownToBeLeft) {
  const std::string folder = UnpackedNodeCases();
  if (folder.empty()) {
    GTEST_SKIP() << "no archive of ONNX's node cases: set WSI_TEST_DATA to the test data";
  }
  const std::set<std::string> known = KnownLeft(GetParam());
  Result<ConformanceRunner> runner = ConformanceRunner::Make(GetParam());
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  const Result<std::vector<std::string>> cases = FindCases(folder);
  ASSERT_TRUE(cases.ok()) << cases.status().message();
  ASSERT_GT(cases->size(), 900U);
  std::set<std::string> left;
  for (const std::string& path : *cases) {
    const std::string name = fs::path(path).filename();
    const CaseResult result = runner->Run(path, name);
    if (result.outcome == Outcome::kPassed || IsOutside(result)) continue;
    left.insert(name);
    EXPECT_TRUE(known.contains(name))
        << name << ": " << OutcomeName(result.outcome) << ": " << result.message;
  }
  for (const std::string& name : known) {
    if (!left.contains(name)) std::cout << name << " passes: take it off the list\n";
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, NodeCases, testing::Values("cpu", "reference"),
                         [](const auto& device) { return device.param; });

TEST(Conformance, ADeviceThatDoesNotExistIsUsage) {
  const Result<ConformanceRunner> runner = ConformanceRunner::Make("tpu");
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.status().code(), ErrorCode::kUsage);
  EXPECT_NE(runner.status().message().find("cpu, cuda and reference"), std::string::npos);
}

TEST(Conformance, AFolderWithoutDataIsNotSupported) {
  const fs::path folder = fs::path(testing::TempDir()) / "wsi-no-data";
  fs::create_directories(folder);
  std::ofstream(folder / "model.onnx") << "no model";
  Result<ConformanceRunner> runner = ConformanceRunner::Make("reference");
  ASSERT_TRUE(runner.ok());
  const CaseResult result = runner->Run(folder.string(), "no-data");
  EXPECT_EQ(result.outcome, Outcome::kUnsupported);
  EXPECT_NE(result.message.find("no ONNX model"), std::string::npos) << result.message;
  fs::remove_all(folder);
}

Tensor Floats(std::vector<float> values) {
  return Tensor::Of<float>({static_cast<int64_t>(values.size())}, values);
}

TEST(Comparison, IsRelativeWithAFloor) {
  const Tensor expected = Floats({1000, 0});
  EXPECT_TRUE(Compare(Floats({1000.9F, 5e-8F}), expected, {}, false).agrees);
  const Comparison off = Compare(Floats({1002, 5e-7F}), expected, {}, false);
  EXPECT_FALSE(off.agrees);
  EXPECT_EQ(off.largest_difference, 2);
  EXPECT_EQ(off.message, "element 0 is 1002, expected 1000, and 1 more of 2");
}

TEST(Comparison, OnlyNanEqualsNanAndInfinitiesMustAgree) {
  const float nan = std::nanf("");
  const float inf = HUGE_VALF;
  EXPECT_TRUE(Compare(Floats({nan, inf}), Floats({nan, inf}), {}, false).agrees);
  EXPECT_FALSE(Compare(Floats({1}), Floats({nan}), {}, false).agrees);
  EXPECT_FALSE(Compare(Floats({1e30F}), Floats({inf}), {}, false).agrees);
  EXPECT_FALSE(Compare(Floats({-inf}), Floats({inf}), {}, false).agrees);
}

TEST(Comparison, TypesAndShapesMustAgree) {
  const std::vector<double> values = {1, 2};
  const Tensor wide = Tensor::Of<double>({2}, values);
  EXPECT_FALSE(Compare(wide, Floats({1, 2}), {}, false).agrees);
  EXPECT_TRUE(Compare(wide, Floats({1, 2}), {}, true).agrees);
  EXPECT_FALSE(Compare(Floats({1}), Floats({1, 2}), {}, true).agrees);
}

TEST(Comparison, IntegersMustBeEqual) {
  const std::vector<int64_t> a = {1000000};
  const std::vector<int64_t> b = {1000001};
  const Comparison off =
      Compare(Tensor::Of<int64_t>({1}, a), Tensor::Of<int64_t>({1}, b), {}, true);
  EXPECT_FALSE(off.agrees);
  EXPECT_EQ(off.largest_difference, 1);
}

}  // namespace
}  // namespace wsi
