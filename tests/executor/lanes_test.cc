// Lanes run beside each other. Threads meet in pairs; no clock is asked.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include "tests/executor/small_run.h"

namespace wsi {
namespace {

// Holds two pieces of work back until both have begun.
class Meeting {
 public:
  Meeting(std::string a, std::string b) : a_(std::move(a)), b_(std::move(b)) {}

  void Begin(const std::string& work) {
    if (work != a_ && work != b_) return;
    std::unique_lock lock(mutex_);
    begun_[work] = true;
    changed_.notify_all();
    const auto met = [&] { return begun_[a_] && begun_[b_]; };
    failed_ = !changed_.wait_for(lock, std::chrono::seconds(20), met) || failed_;
  }
  bool took_place() {
    const std::lock_guard lock(mutex_);
    return begun_[a_] && begun_[b_] && !failed_;
  }

 private:
  std::string a_, b_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, bool> begun_;
  bool failed_ = false;
};

// Of the small plan: instructions 0 Mul, 1 copy out, 2 Sub, 3 HalfSumSquares, 4 Add,
// 5 copy in behind 0 and 1, 6 Mul behind 5.
class Overlap : public SmallRun {
 protected:
  void ExpectMeeting(const std::string& a, const std::string& b) {
    Meeting meeting(a, b);
    backend_.on_work = [&](const std::string& work) { meeting.Begin(work); };
    EXPECT_EQ(Step(kAllPhases).status().message(), "");
    EXPECT_TRUE(meeting.took_place()) << a << " and " << b;
    backend_.on_work = nullptr;
  }
};

TEST_F(Overlap, CopiesOutBesideComputing) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  ExpectMeeting("out", "Sub");
  ExpectMeeting("out", "HalfSumSquares");  // Which comes later on the other lane.
}

// The compute lane is still at instructions before the copy when it begins.
TEST_F(Overlap, CopiesInAheadOfTheLaunchThatNeedsThem) {
  ASSERT_TRUE(Start(MakeSmallPlan()).ok());
  ExpectMeeting("in", "Add");
  ExpectMeeting("in", "Sub");
}

}  // namespace
}  // namespace wsi
