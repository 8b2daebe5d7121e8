#include "runtime/timing/exposed_time.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/timing/schedule.h"

namespace wsi {
namespace {

// compute  0-10    12-14  15-20
// comm         8-13  13-16       21-23
TEST(ExposedTime, IsWhereNothingIsComputed) {
  const Schedule s =
      Schedule().Launch(1).Launch(1).Launch(1).Collective(1).Collective(1).Collective(1);
  const std::vector<Span> spans = {{0, 10}, {12, 14}, {15, 20}, {8, 13}, {13, 16}, {21, 23}};
  const CommunicationTime time = ComputeCommunicationTime(s.program(), spans);
  EXPECT_EQ(time.busy_seconds, 5 + 3 + 2);
  EXPECT_EQ(time.exposed_seconds, 2 + 1 + 2);
}

TEST(ExposedTime, WhatDidNotRunDoesNotCount) {
  const Schedule s = Schedule().Launch(1).Collective(1).Launch(1);
  const std::vector<Span> spans = {{0, 2}, {-1, -1}, {-1, -1}};
  const CommunicationTime time = ComputeCommunicationTime(s.program(), spans);
  EXPECT_EQ(time.busy_seconds, 0);
  EXPECT_EQ(time.exposed_seconds, 0);
}

// In every step of a second each of a random program.
TEST(ExposedTime, IsWhatCountingSecondsGives) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    Schedule schedule;
    std::vector<Span> spans;
    std::vector<bool> computes(200);
    std::vector<bool> sums(200);
    for (const bool of_compute : {true, false}) {
      for (size_t at = random() % 5; at < 150;) {
        const size_t end = at + random() % 9;
        of_compute ? schedule.Launch(1) : schedule.Collective(1);
        spans.push_back({static_cast<double>(at), static_cast<double>(end)});
        for (; at < end; ++at) (of_compute ? computes : sums)[at] = true;
        at += random() % 6;
      }
    }
    int busy = 0;
    int exposed = 0;
    for (size_t at = 0; at < sums.size(); ++at) {
      busy += sums[at] ? 1 : 0;
      exposed += sums[at] && !computes[at] ? 1 : 0;
    }
    const CommunicationTime time = ComputeCommunicationTime(schedule.program(), spans);
    ASSERT_EQ(time.busy_seconds, busy);
    ASSERT_EQ(time.exposed_seconds, exposed);
  }
}

}  // namespace
}  // namespace wsi
