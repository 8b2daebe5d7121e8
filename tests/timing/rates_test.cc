#include "runtime/timing/rates.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

constexpr const char* kGood = R"({
  "device": "a", "matrix_flops_fp32": 1e12, "vector_flops": 1e11, "memory_bytes": 2e10,
  "in_bytes": 1e9, "out_bytes": 1e9, "read_bytes": 1e8, "write_bytes": 1e8,
  "launch_seconds": 1e-6, "operators": {"Conv": {"flops_fp32": 5e11}}})";

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  WSI_CHECK(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

Status ReadText(const std::string& text) {
  const TempFolder folder;
  folder.Put("rates.json", text);
  return ReadRates(folder.Path("rates.json")).status();
}

TEST(Rates, BuiltInOnesAreWhole) {
  for (const char* name : {"cpu", "h100", "h200", "v100"}) {
    const Result<plan::Rates> rates = BuiltInRates(name);
    ASSERT_TRUE(rates.ok()) << name;
    EXPECT_TRUE(CheckRates(*rates).ok()) << CheckRates(*rates).message();
    EXPECT_GT(rates->matrix_flops_half(), rates->matrix_flops_fp32()) << name;
  }
  EXPECT_EQ(DefaultRatesName("cuda"), "h100");
  EXPECT_EQ(DefaultRatesName("cpu"), "cpu");
  EXPECT_EQ(DefaultRatesName("reference"), "cpu");
}

TEST(Rates, AnUnknownNameListsTheOthers) {
  const Result<plan::Rates> rates = BuiltInRates("tpu");
  EXPECT_EQ(rates.status().code(), ErrorCode::kUsage);
  EXPECT_EQ(rates.status().message(), "'tpu' is none of the built-in rates cpu, h100, h200, v100");
}

TEST(Rates, AFileHoldsThemUnchanged) {
  const TempFolder folder;
  plan::Rates rates = BuiltInRates("h100").value();
  (*rates.mutable_operators())["Conv"].set_flops_half(1.0 / 3);
  (*rates.mutable_operators())["Add"].set_memory_bytes(1e12);
  rates.set_device("a \"quoted\" name");
  ASSERT_TRUE(WriteRates(folder.Path("r.json"), rates, {}).ok());
  const Result<plan::Rates> read = ReadRates(folder.Path("r.json"));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_TRUE(MessageDifferencer::Equals(rates, *read));
  EXPECT_EQ(WriteRates(folder.Path("r.json"), rates, {}).code(), ErrorCode::kUsage);
}

TEST(Rates, TheSameRatesMakeTheSameBytes) {
  const TempFolder folder;
  for (const char* name : {"a.json", "b.json"}) {
    plan::Rates rates = BuiltInRates("cpu").value();
    for (int i = 0; i < 50; ++i) {
      (*rates.mutable_operators())["op" + std::to_string(i)].set_memory_bytes(i + 1);
    }
    ASSERT_TRUE(WriteRates(folder.Path(name), rates, {}).ok());
  }
  EXPECT_EQ(ReadFile(folder.Path("a.json"), 1 << 20).value(),
            ReadFile(folder.Path("b.json"), 1 << 20).value());
}

TEST(Rates, AGoodTextIsRead) { EXPECT_TRUE(ReadText(kGood).ok()) << ReadText(kGood).message(); }

TEST(Rates, BadTextsAreRefusedByName) {
  struct Case {
    std::string text;
    const char* names;
  };
  const std::vector<Case> cases = {
      {"", "not a rates file"},
      {"[1, 2]", "not a rates file"},
      {std::string(kGood).substr(0, 100), "not a rates file"},
      {Replaced(kGood, "\"device\"", "\"gadget\""), "gadget"},
      {Replaced(kGood, "flops_fp32\": 5e11", "flops\": 5e11"), "flops"},
      {Replaced(kGood, "1e12", "\"fast\""), "matrix_flops_fp32"},
      {Replaced(kGood, "1e12", "1e999"), "matrix_flops_fp32"},
      {Replaced(kGood, "1e12", "0"), "matrix_flops_fp32"},
      {Replaced(kGood, "\"vector_flops\": 1e11, ", ""), "vector_flops"},
      {Replaced(kGood, "2e10", "-2e10"), "memory_bytes"},
      {Replaced(kGood, "\"in_bytes\": 1e9", "\"in_bytes\": \"NaN\""), "in_bytes"},
      {Replaced(kGood, "\"out_bytes\": 1e9", "\"out_bytes\": \"Infinity\""), "out_bytes"},
      {Replaced(kGood, "\"read_bytes\": 1e8", "\"read_bytes\": 0"), "read_bytes"},
      {Replaced(kGood, "\"write_bytes\": 1e8", "\"write_bytes\": 0"), "write_bytes"},
      {Replaced(kGood, "1e-6", "-1e-6"), "launch_seconds"},
      {Replaced(kGood, "5e11", "-5e11"), "operators['Conv'].flops_fp32"},
      {Replaced(kGood, "5e11", "\"NaN\""), "operators['Conv'].flops_fp32"},
  };
  for (const Case& c : cases) {
    const Status status = ReadText(c.text);
    EXPECT_EQ(status.code(), ErrorCode::kInvalidInput) << c.text;
    EXPECT_THAT(status.message(), HasSubstr(c.names));
    EXPECT_THAT(status.message(), HasSubstr("rates.json"));
  }
}

TEST(Rates, AreFoundByNameOrPath) {
  const TempFolder folder;
  folder.Put("mine.json", kGood);
  EXPECT_EQ(FindRates("v100")->device(), "NVIDIA V100 32GB");
  EXPECT_EQ(FindRates(folder.Path("mine.json"))->device(), "a");
  const Status neither = FindRates("p100").status();
  EXPECT_EQ(neither.code(), ErrorCode::kIo);
  EXPECT_THAT(neither.message(), HasSubstr("p100"));
  EXPECT_THAT(neither.message(), HasSubstr("cpu, h100, h200, v100"));
}

}  // namespace
}  // namespace wsi
