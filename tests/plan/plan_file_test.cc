#include "runtime/plan/plan_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "tests/base/temp_folder.h"
#include "tests/plan/small_plan.h"

namespace wsi {
namespace {

using testing::HasSubstr;

class PlanFileTest : public testing::Test {
 protected:
  PlanFileTest() {
    const plan::Plan plan = MakeSmallPlan();
    const Status written = WritePlan(path_, plan, SmallPlanData(plan), {});
    EXPECT_TRUE(written.ok()) << written.message();
    whole_ = ReadFile(path_, 1 << 20).value();
  }

  // Opens `contents` and reads all data.
  Status Load(const std::string& contents) {
    folder_.Put("small.plan", contents);
    WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(path_));
    for (int i = 0; i < file.plan().persistents_size(); ++i) {
      std::array<std::byte, 24> out{};
      const size_t bytes = i == 1 ? 4 : 24;
      WSI_RETURN_IF_ERROR(file.ReadPersistent(i, std::span(out).first(bytes)));
    }
    return {};
  }

  TempFolder folder_;
  std::string path_ = folder_.Path("small.plan");
  std::string whole_;
};

TEST_F(PlanFileTest, RoundTrips) {
  const Result<PlanFile> file = ReadPlan(path_);
  ASSERT_TRUE(file.ok()) << file.status().message();
  plan::Plan expected = MakeSmallPlan();
  expected.mutable_persistents(2)->set_data_offset(64);
  EXPECT_EQ(file->plan().SerializeAsString(), expected.SerializeAsString());
  std::vector<float> w(6);
  ASSERT_TRUE(file->ReadPersistent(0, std::as_writable_bytes(std::span(w))).ok());
  EXPECT_EQ(w, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  std::vector<float> total = {7};  // Has no data: starts as zeros.
  ASSERT_TRUE(file->ReadPersistent(1, std::as_writable_bytes(std::span(total))).ok());
  EXPECT_EQ(total[0], 0.0F);
}

TEST_F(PlanFileTest, SameBytesEveryTime) {
  plan::Plan plan = MakeSmallPlan();
  for (const char* name : {"momentum", "weight_decay", "epsilon", "beta1"}) {
    (*plan.mutable_training()->mutable_numbers())[name] = 0.5;
  }
  ASSERT_TRUE(WritePlan(folder_.Path("a"), plan, SmallPlanData(plan), {}).ok());
  plan::Plan again;
  ASSERT_TRUE(again.ParseFromString(plan.SerializeAsString()));
  ASSERT_TRUE(WritePlan(folder_.Path("b"), again, SmallPlanData(again), {}).ok());
  EXPECT_EQ(ReadFile(folder_.Path("a"), 1 << 20).value(),
            ReadFile(folder_.Path("b"), 1 << 20).value());
}

TEST_F(PlanFileTest, EveryTruncationIsAnError) {
  ASSERT_TRUE(Load(whole_).ok());
  for (size_t length = 0; length < whole_.size(); ++length) {
    const Status status = Load(whole_.substr(0, length));
    ASSERT_EQ(status.code(), ErrorCode::kInvalidInput) << length;
    EXPECT_THAT(status.message(), HasSubstr("truncated"));
  }
}

TEST_F(PlanFileTest, EverySingleBitFlipIsAnError) {
  for (size_t bit = 0; bit < 8 * whole_.size(); ++bit) {
    std::string damaged = whole_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const Status status = Load(damaged);
    ASSERT_EQ(status.code(), ErrorCode::kInvalidInput) << "bit " << bit;
  }
}

TEST_F(PlanFileTest, SaysWhatIsWrong) {
  const auto changed = [&](size_t at, char value) {
    std::string copy = whole_;
    copy[at] = value;
    return Load(copy).message();
  };
  EXPECT_THAT(changed(0, 'x'), HasSubstr("not a plan file"));
  EXPECT_THAT(changed(8, 9), HasSubstr("format version 9, this program reads 2"));
  EXPECT_THAT(changed(50, 1), HasSubstr("header does not match its hash"));
  EXPECT_THAT(changed(110, 1), HasSubstr("is not zero"));
  EXPECT_THAT(changed(130, 1), HasSubstr("hash table does not match"));
  EXPECT_THAT(changed(200, 1), HasSubstr("plan does not match its hash"));
  EXPECT_THAT(changed(whole_.size() - 1, 1), HasSubstr("data of 'c' do not match"));
  EXPECT_THAT(Load(whole_ + "x").message(), HasSubstr("do not make up a file"));
  EXPECT_THAT(Load("").message(), HasSubstr("truncated"));
  EXPECT_THAT(Load("\x89PNG").message(), HasSubstr("not a plan file"));
}

// Sets a byte and makes every hash right again.
std::string Forge(std::string file, size_t at, char value) {
  file[at] = value;
  const auto bytes = [&](size_t offset, size_t count) {
    return std::as_bytes(std::span(file)).subspan(offset, count);
  };
  const auto put = [&](size_t offset, const Hash128& hash) {
    for (size_t i = 0; i < 16; ++i) file[offset + i] = static_cast<char>(hash.bytes[i]);
  };
  uint64_t offset = 0;
  uint64_t count = 0;
  std::memcpy(&offset, &file[24], 8);
  std::memcpy(&count, &file[32], 8);
  uint32_t persistents = 0;
  std::memcpy(&persistents, &file[12], 4);
  if (offset + count <= file.size() && count <= file.size())
    put(56, HashBytes(bytes(offset, count)));
  if (persistents < 100) put(72, HashBytes(bytes(128, std::size_t{16} * persistents)));
  put(88, HashBytes(bytes(0, 88)));
  return file;
}

// With right hashes over wrong contents the reader must still not fail other than by
// Status; whether a change is harmful (a name is not) is VerifyPlan's to say.
TEST_F(PlanFileTest, RightHashesOverHostileContents) {
  int refused = 0;
  for (size_t at = 8; at < whole_.size() - 64; ++at) {
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      const Status status = Load(Forge(whole_, at, static_cast<char>(value)));
      if (status.ok()) continue;
      ++refused;
      ASSERT_EQ(status.code(), ErrorCode::kInvalidInput) << at << ": " << status.message();
    }
  }
  EXPECT_GT(refused, 1000);
  for (size_t at = 12; at < 56; ++at) {  // Every size in the header is checked.
    const char value = static_cast<char>(whole_[at] ^ 0x41);
    EXPECT_EQ(Load(Forge(whole_, at, value)).code(), ErrorCode::kInvalidInput) << at;
  }
}

TEST_F(PlanFileTest, WriterRefusesABadPlanAndBadData) {
  plan::Plan bad = MakeSmallPlan();
  bad.mutable_buffers(0)->set_offset(512);
  EXPECT_EQ(WritePlan(folder_.Path("bad"), bad, SmallPlanData(bad), {}).code(),
            ErrorCode::kInternal);
  const plan::Plan plan = MakeSmallPlan();
  const auto short_data = [](int) { return Tensor::Make(DType::kF32, {1}); };
  EXPECT_EQ(WritePlan(folder_.Path("bad"), plan, short_data, {}).code(), ErrorCode::kInternal);
  const auto no_data = [](int) -> Result<Tensor> { return IoError("gone"); };
  EXPECT_EQ(WritePlan(folder_.Path("bad"), plan, no_data, {}).code(), ErrorCode::kIo);
  EXPECT_EQ(WritePlan(path_, plan, SmallPlanData(plan), {}).code(), ErrorCode::kUsage);
  EXPECT_EQ(folder_.Count(), 1U);
}

}  // namespace
}  // namespace wsi
