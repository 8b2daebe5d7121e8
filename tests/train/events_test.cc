#include "runtime/train/events.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

std::vector<nlohmann::json> ReadLines(const std::string& path) {
  std::ifstream file(path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(Events, NumbersThatAreNotFiniteAreNull) {
  EXPECT_EQ(ToJson({{"n", int64_t{-3}},
                    {"x", 0.5},
                    {"nan", std::numeric_limits<double>::quiet_NaN()},
                    {"inf", -std::numeric_limits<double>::infinity()},
                    {"text", std::string("a \"b\"\n")}}),
            R"({"n":-3,"x":0.5,"nan":null,"inf":null,"text":"a \"b\"\n"})");
  EXPECT_EQ(ToJson({}), "{}");
}

TEST(Events, TextThatIsNotUtf8StaysJson) {
  EXPECT_TRUE(nlohmann::json::accept(ToJson({{"path", std::string("a\xff") + "b"}})));
}

TEST(Events, OneObjectALineAsItHappens) {
  const TempFolder folder;
  Result<EventLog> log = EventLog::Open(folder.Path(""));
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(log->Write("step", {{"step", int64_t{1}}, {"loss", 0.25}}).ok());
  const auto lines = ReadLines(folder.Path("events.jsonl"));  // While it is still open.
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].at("event"), "step");
  EXPECT_EQ(lines[0].at("step"), 1);
  EXPECT_EQ(lines[0].at("loss"), 0.25);
  EXPECT_GT(lines[0].at("time").get<double>(), 1.7e9);
}

TEST(Events, AReopenedLogGoesOn) {
  const TempFolder folder;
  for (int i = 0; i < 2; ++i) {
    Result<EventLog> log = EventLog::Open(folder.Path(""));
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE(log->Write("start", {{"run", int64_t{i}}}).ok());
  }
  const auto lines = ReadLines(folder.Path("events.jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1].at("run"), 1);
}

TEST(Events, AFolderThatIsMissingIsAnIoError) {
  const Result<EventLog> log = EventLog::Open("no/such/folder");
  EXPECT_EQ(log.status().code(), ErrorCode::kIo);
  EXPECT_NE(log.status().message().find("no/such/folder/events.jsonl"), std::string::npos);
}

TEST(Events, AFullDiskIsTold) {
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/full", folder.Path("events.jsonl"));
  Result<EventLog> log = EventLog::Open(folder.Path(""));
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->Write("step", {}).code(), ErrorCode::kResources);
}

}  // namespace
}  // namespace wsi
