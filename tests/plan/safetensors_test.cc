#include "runtime/plan/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using testing::HasSubstr;

std::string Safetensors(const std::string& header, const std::string& data) {
  std::string file;
  for (size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  return file + header + data;
}

class SafetensorsTest : public testing::Test {
 protected:
  Result<SafetensorsFile> Open(const std::string& contents) {
    folder_.Put("x.safetensors", contents);
    return SafetensorsFile::Open(path_);
  }
  TempFolder folder_;
  std::string path_ = folder_.Path("x.safetensors");
};

TEST_F(SafetensorsTest, RoundTripsEveryType) {
  std::vector<Tensor> tensors;
  std::vector<std::pair<std::string, const Tensor*>> named;
  for (int64_t n = 1; n <= 9; ++n) {
    tensors.push_back(Tensor::Make(DTypeFromNumber(n).value(), {n, 2}).value());
    for (std::byte& b : tensors.back().bytes()) b = static_cast<std::byte>(n);
  }
  tensors.push_back(Tensor::Make(DType::kF32, {0, 3}).value());
  tensors.push_back(Tensor::Make(DType::kI64, {}).value());
  for (const Tensor& tensor : tensors) {
    named.emplace_back("layer." + std::to_string(named.size()) + "/\"quoted\"", &tensor);
  }
  ASSERT_TRUE(WriteSafetensors(path_, named, {{"format", "pt"}}, {}).ok());
  const Result<SafetensorsFile> file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->metadata(), (SafetensorsMetadata{{"format", "pt"}}));
  ASSERT_EQ(file->entries().size(), named.size());
  for (const auto& [name, tensor] : named) EXPECT_EQ(file->Read(name).value(), *tensor);
  EXPECT_EQ(file->Read("absent").status().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(file->Find("absent"), nullptr);
}

TEST_F(SafetensorsTest, ReadsAFileOfTheReferenceImplementation) {
  const auto file = Open(Safetensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  )",
      std::string("\0\0\x80\x3F\0\0\0\x40", 8)));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->Read("a").value().ToDoubles(), (std::vector<double>{1, 2}));
}

TEST_F(SafetensorsTest, RefusesHostileHeaders) {
  const auto one = [](const std::string& fields) {
    return Safetensors("{\"a\":{" + fields + "}}", "12345678");
  };
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  ASSERT_TRUE(Open(one(good)).ok());
  const struct {
    std::string contents;
    const char* message;
  } cases[] = {
      {"", "truncated"},
      {std::string(8, '\0'), "header of 0 bytes"},
      {std::string(8, '\xFF') + "{}", "header of 18446744073709551615 bytes"},
      {std::string("\x01\xE1\xF5\x05\0\0\0\0{}", 10), "header of 100000001 bytes"},
      {Safetensors("{}", "").substr(0, 9), "truncated"},
      {Safetensors("[]", ""), "does not begin"},
      {Safetensors("{\"a\":", ""), "not JSON"},
      {Safetensors(std::string(100000, '{'), ""), "not JSON"},
      {Safetensors("{\"a\":" + std::string(100000, '['), ""), "a list where"},
      {Safetensors("{\"a\":5}", ""), "a number where"},
      {Safetensors("{\"a\":null}", ""), "null where"},
      {Safetensors("{}", "x"), "describes 0 bytes of data, the file has 1"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":"y")"), "unknown key 'x'"},
      {one(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"), "duplicate key"},
      {one(R"("dtype":"F32","shape":[2])"), "needs dtype, shape"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), "needs dtype, shape"},
      {one(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), "'F31' is not supported"},
      {one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), "12 bytes"},
      {one(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), "a list where"},
      {one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "a fraction"},
      {one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "a negative number"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "do not hold"},
      {one(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"), "hole"},
      {one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), "the file has 8"},
      {one(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8])"), "overflows"},
      {one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"), "too large"},
      {one(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8])"), "a fraction"},
      {Safetensors("{\"a\":{" + good + "},\"a\":{" + good + "}}", "12345678"), "duplicate key 'a'"},
      {Safetensors("{\"a\":{" + good + "},\"b\":{" + good + "}}", "12345678"), "overlapping"},
      {Safetensors(R"({"__metadata__":{"a":1}})", ""), "a number where"},
      {Safetensors(R"({"__metadata__":{"a":"1","a":"2"}})", ""), "duplicate key"},
      {Safetensors(R"({"__metadata__":[]})", ""), "a list where"},
      {Safetensors("{\"\xFF\":5}", ""), "not JSON"},
  };
  for (const auto& bad : cases) {
    const Result<SafetensorsFile> file = Open(bad.contents);
    EXPECT_EQ(file.status().code(), ErrorCode::kInvalidInput) << bad.message;
    EXPECT_THAT(file.status().message(), HasSubstr(bad.message));
  }
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string whole =
      Safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd");
  ASSERT_TRUE(Open(whole).ok());
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(Open(whole.substr(0, length)).status().code(), ErrorCode::kInvalidInput) << length;
  }
}

TEST_F(SafetensorsTest, WriterRefusesNamesThatTheFormatCannotHold) {
  const SafetensorsEntry entry = {.name = "a", .dtype = DType::kU8, .shape = {1}};
  EXPECT_EQ(SafetensorsWriter::Create(path_, {entry, entry}, {}, {}).status().code(),
            ErrorCode::kInvalidInput);
  const SafetensorsEntry odd = {.name = "\xFF", .dtype = DType::kU8, .shape = {1}};
  EXPECT_EQ(SafetensorsWriter::Create(path_, {odd}, {}, {}).status().code(),
            ErrorCode::kInvalidInput);
  EXPECT_EQ(folder_.Count(), 0U);
}

TEST_F(SafetensorsTest, AFullDiskLeavesTheOldFile) {
  class FullDisk : public FileOps {
    ssize_t Write(int, const void*, size_t, off_t) override {
      errno = ENOSPC;
      return -1;
    }
  };
  const Tensor tensor = Tensor::Make(DType::kF32, {4}).value();
  const std::vector<std::pair<std::string, const Tensor*>> named = {{"a", &tensor}};
  ASSERT_TRUE(WriteSafetensors(path_, named, {}, {}).ok());
  const std::string before = ReadFile(path_, 4096).value();
  FullDisk disk;
  EXPECT_EQ(WriteSafetensors(path_, named, {}, {.force = true, .ops = &disk}).code(),
            ErrorCode::kResources);
  EXPECT_EQ(ReadFile(path_, 4096).value(), before);
}

}  // namespace
}  // namespace wsi
