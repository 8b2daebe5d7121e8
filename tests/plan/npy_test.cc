#include "runtime/plan/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/base/temp_folder.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// A version 1.0 file with this header and data.
std::string Npy(std::string header, const std::string& data, char major = 1) {
  std::string file = "\x93NUMPY";
  file += {major, 0, static_cast<char>(header.size()), 0};
  if (major > 1) file += {0, 0};
  return file + header + data;
}

class NpyTest : public testing::Test {
 protected:
  Result<Tensor> Read(const std::string& contents) {
    folder_.Put("x.npy", contents);
    return ReadNpy(folder_.Path("x.npy"));
  }
  TempFolder folder_;
};

TEST_F(NpyTest, RoundTripsEveryType) {
  const std::string path = folder_.Path("y.npy");
  for (const DType dtype : {DType::kF16, DType::kF32, DType::kF64, DType::kI8, DType::kU8,
                            DType::kI32, DType::kI64, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 2}, Shape{2, 3, 4}}) {
      Tensor tensor = Tensor::Make(dtype, shape).value();
      for (std::byte& b : tensor.bytes()) b = std::byte{1};
      ASSERT_TRUE(WriteNpy(path, tensor, {.force = true}).ok());
      const Result<Tensor> back = ReadNpy(path);
      ASSERT_TRUE(back.ok()) << back.status().message();
      EXPECT_EQ(*back, tensor);
      EXPECT_EQ((ReadFile(path, 4096)->size() - tensor.bytes().size()) % 64, 0U);
    }
  }
  const Tensor brain = Tensor::Make(DType::kBF16, {1}).value();
  EXPECT_EQ(WriteNpy(path, brain, {.force = true}).code(), ErrorCode::kInvalidInput);
}

// The bytes that numpy.save wrote for numpy.array([[1, 2]], dtype=numpy.int32).
TEST_F(NpyTest, ReadsNumpysOwnBytes) {
  std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }";
  header.resize(117, ' ');
  header += '\n';
  const std::string data("\1\0\0\0\2\0\0\0", 8);
  for (const char version : {'\1', '\2', '\3'}) {
    const Result<Tensor> tensor = Read(Npy(header, data, version));
    ASSERT_TRUE(tensor.ok()) << tensor.status().message();
    EXPECT_EQ(tensor->shape(), (Shape{1, 2}));
    EXPECT_EQ(tensor->ToInts(), (std::vector<int64_t>{1, 2}));
  }
}

TEST_F(NpyTest, RefusesByName) {
  const auto header = [](const std::string& descr, const std::string& order,
                         const std::string& shape) {
    return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + "}";
  };
  const struct {
    std::string contents;
    const char* message;
  } cases[] = {
      {"", "not a .npy file"},
      {"PK\3\4 an archive of arrays", "not a .npy file"},
      {Npy(header("<f4", "False", "(1,)"), "1234", 9), "version 9.0"},
      {Npy(header(">f4", "False", "(1,)"), "1234"), "big-endian"},
      {Npy(header("<c8", "False", "(1,)"), "12345678"), "'<c8' is not supported"},
      {Npy(header("|O", "False", "(1,)"), "1234"), "not supported"},
      {Npy(header("<f4", "True", "(1, 1)"), "1234"), "Fortran"},
      {Npy(header("<f4", "False", "(2,)"), "1234"), "needs 8 bytes"},
      {Npy(header("<f4", "False", "(1,)"), "12345"), "needs 4 bytes"},
      {Npy(header("<f4", "False", "(-1,)"), "1234"), "negative"},
      {Npy(header("<f4", "False", "(4611686018427387904, 4)"), "1234"), "overflows"},
      {Npy(header("<f4", "False", "(99999999999999999999,)"), "1234"), "malformed"},
      {Npy(header("<f4", "Maybe", "(1,)"), "1234"), "malformed"},
      {Npy(header("<f4", "False", "(1,"), "1234"), "malformed"},
      {Npy("{'descr': '<f4', 'shape': (1,)}", "1234"), "malformed"},
      {Npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", "1234"), "malformed"},
      {Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", ""), "malformed"},
      {Npy("import os", "1234"), "malformed"},
  };
  for (const auto& one : cases) {
    const Result<Tensor> tensor = Read(one.contents);
    EXPECT_EQ(tensor.status().code(), ErrorCode::kInvalidInput) << one.message;
    EXPECT_THAT(tensor.status().message(), HasSubstr(one.message));
  }
}

TEST_F(NpyTest, EveryTruncationIsAnError) {
  const Tensor tensor = Tensor::Make(DType::kF32, {2, 2}).value();
  ASSERT_TRUE(WriteNpy(folder_.Path("y.npy"), tensor, {}).ok());
  const std::string whole = ReadFile(folder_.Path("y.npy"), 4096).value();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(Read(whole.substr(0, length)).status().code(), ErrorCode::kInvalidInput) << length;
  }
}

}  // namespace
}  // namespace wsi
