// External weights come from plain files beneath the model's folder, or not at all.
#include "frontends/onnx/external_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/base/temp_folder.h"
#include "tests/onnx/test_model.h"

namespace wsi {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

class ExternalDataTest : public testing::Test {
 protected:
  ExternalDataTest() {
    std::filesystem::create_directory(folder_.Path("model"));
    std::filesystem::create_directory(folder_.Path("model/sub"));
    const float values[] = {1, 2, 3, 4};
    for (const char* name : {"model/w.bin", "model/sub/w.bin", "outside.bin"}) {
      std::ofstream(folder_.Path(name), std::ios::binary)
          .write(reinterpret_cast<const char*>(values), sizeof(values));
    }
  }

  // Imports a model whose two weights have the entries given; "" on success.
  std::string Import(const Entries& entries) {
    TestModel model(13);
    model.Input("x", {2}).Output("y").Node("Add", {"x", "w"}, {"y"});
    onnx::TensorProto weight = Floats({2}, {}, "w");
    weight.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* entry = weight.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    model.Initializer(weight);
    model.Save(folder_.Path("model/m.onnx"));
    TensorStore tensors;
    const auto graph = ImportOnnx(folder_.Path("model/m.onnx"), {}, &tensors);
    if (graph.ok()) {
      values_ = tensors.Find("w")->ToDoubles();
      return "";
    }
    EXPECT_EQ(graph.status().code(), ErrorCode::kInvalidInput);
    return graph.status().message();
  }

  TempFolder folder_;
  std::vector<double> values_;
};

TEST_F(ExternalDataTest, ReadsARange) {
  EXPECT_EQ(Import({{"location", "w.bin"}, {"offset", "8"}, {"length", "8"}}), "");
  EXPECT_EQ(values_, (std::vector<double>{3, 4}));
  EXPECT_EQ(Import({{"location", "./sub//w.bin"}, {"checksum", "ignored"}}), "");
  EXPECT_EQ(values_, (std::vector<double>{1, 2}));
}

TEST_F(ExternalDataTest, RefusesLocationsOutside) {
  using testing::HasSubstr;
  std::filesystem::create_symlink("w.bin", folder_.Path("model/link.bin"));
  std::filesystem::create_directory_symlink("sub", folder_.Path("model/linked"));
  std::filesystem::create_hard_link(folder_.Path("outside.bin"), folder_.Path("model/hard.bin"));
  ASSERT_EQ(::mkfifo(folder_.Path("model/fifo").c_str(), 0600), 0);
  EXPECT_THAT(Import({{"location", "../outside.bin"}}), HasSubstr("leaves the folder"));
  EXPECT_THAT(Import({{"location", "sub/../../outside.bin"}}), HasSubstr("leaves the folder"));
  EXPECT_THAT(Import({{"location", folder_.Path("model/w.bin")}}), HasSubstr("is absolute"));
  EXPECT_THAT(Import({{"location", ""}}), HasSubstr("is empty"));
  EXPECT_THAT(Import({{"location", std::string("w.bin\0x", 7)}}), HasSubstr("holds a NUL"));
  EXPECT_THAT(Import({{"location", "link.bin"}}), HasSubstr("symbolic link"));
  EXPECT_THAT(Import({{"location", "linked/w.bin"}}), HasSubstr("symbolic link"));
  EXPECT_THAT(Import({{"location", "hard.bin"}}), HasSubstr("is a hard link"));
  EXPECT_THAT(Import({{"location", "fifo"}}), HasSubstr("is not a regular file"));
  EXPECT_THAT(Import({{"location", "sub"}}), HasSubstr("is not a regular file"));
  EXPECT_THAT(Import({{"location", "sub/"}}), HasSubstr("names a folder"));
  EXPECT_THAT(Import({{"location", "none.bin"}}), HasSubstr("No such file"));
  EXPECT_THAT(Import({{"location", "w.bin/x"}}), HasSubstr("or a file"));
  EXPECT_THAT(Import({}), HasSubstr("states no location"));
}

TEST_F(ExternalDataTest, RefusesRangesOutsideTheFile) {
  using testing::HasSubstr;
  const std::string most = std::to_string(std::numeric_limits<int64_t>::max());
  const auto with = [&](const char* key, const std::string& value) {
    return Import({{"location", "w.bin"}, {key, value}});
  };
  EXPECT_THAT(with("offset", "12"), HasSubstr("has 16 bytes; 8 from 12 are asked for"));
  EXPECT_THAT(with("offset", most), HasSubstr("has 16 bytes; 8 from " + most));
  EXPECT_THAT(with("offset", "-1"), HasSubstr("no count of bytes"));
  EXPECT_THAT(with("offset", "9223372036854775808"), HasSubstr("no count of bytes"));
  EXPECT_THAT(with("offset", "0x8"), HasSubstr("no count of bytes"));
  EXPECT_THAT(with("length", most), HasSubstr("the shape wants 8 bytes"));
  EXPECT_THAT(with("length", "-8"), HasSubstr("no count of bytes"));
  EXPECT_THAT(with("location", "w.bin"), HasSubstr("twice"));
}

}  // namespace
}  // namespace wsi
