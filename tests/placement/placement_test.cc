#include "runtime/placement/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace wsi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Two packages with a NUMA node, four cores and eight processors each.
Machine TwoNodes() {
  Machine machine = {.cores = {}, .nodes = {{.number = 0}, {.number = 1}}, .packages = 2};
  for (int core = 0; core < 8; ++core) {
    machine.cores.push_back({.pus = {core, core + 8}, .node = core / 4});
  }
  for (int pu = 0; pu < 16; ++pu) machine.bound.push_back(pu);
  return machine;
}

std::vector<RankSeat> Seats(const Machine& machine, std::vector<int> gpu_nodes) {
  std::vector<RankSeat> seats;
  for (const int node : gpu_nodes) seats.push_back({.bound = machine.bound, .gpu_node = node});
  return seats;
}

std::vector<std::string> Chosen(const Machine& machine, const std::vector<RankSeat>& seats) {
  std::vector<std::string> chosen;
  for (const Placement& p : ChoosePlacements(machine, seats)) {
    chosen.push_back(ProcessorList(p.processors) +
                     (p.node < 0 ? "" : " of " + std::to_string(p.node)));
  }
  return chosen;
}

TEST(Placement, RanksShareTheCores) {
  const Machine m = TwoNodes();
  EXPECT_THAT(Chosen(m, Seats(m, {-1, -1})), ElementsAre("0-3,8-11 of 0", "4-7,12-15 of 1"));
  EXPECT_THAT(Chosen(m, Seats(m, {-1, -1, -1})),
              ElementsAre("0-1,8-9 of 0", "2-4,10-12", "5-7,13-15 of 1"));
  EXPECT_THAT(Chosen(m, Seats(m, std::vector<int>(8, -1))),
              ElementsAre("0,8 of 0", "1,9 of 0", "2,10 of 0", "3,11 of 0", "4,12 of 1",
                          "5,13 of 1", "6,14 of 1", "7,15 of 1"));
}

TEST(Placement, RanksAreNearTheirGpus) {
  const Machine m = TwoNodes();
  EXPECT_THAT(Chosen(m, Seats(m, {1, 0, 1})),
              ElementsAre("4-5,12-13 of 1", "0-3,8-11 of 0", "6-7,14-15 of 1"));
  EXPECT_THAT(Chosen(m, Seats(m, {1})), ElementsAre("4-7,12-15 of 1"));
  EXPECT_THAT(ChoosePlacements(m, Seats(m, {1}))[0].reason, HasSubstr("NUMA node 1"));
}

TEST(Placement, OneUnknownGpuMayBeAnywhere) {
  const Machine m = TwoNodes();
  EXPECT_THAT(Chosen(m, Seats(m, {1, -1})), Chosen(m, Seats(m, {-1, -1})));
}

TEST(Placement, AnOnlyRankStaysEverywhere) {
  const Machine m = TwoNodes();
  EXPECT_THAT(Chosen(m, Seats(m, {-1})), ElementsAre(""));
}

TEST(Placement, MoreRanksThanCoresStayEverywhere) {
  const Machine m = TwoNodes();
  const auto placements = ChoosePlacements(m, Seats(m, std::vector<int>(9, -1)));
  EXPECT_FALSE(placements[0].binds());
  EXPECT_EQ(placements[0].reason, "9 ranks, but 8 cores");
  EXPECT_FALSE(ChoosePlacements(m, Seats(m, std::vector<int>(5, 0)))[4].binds());
  EXPECT_FALSE(ChoosePlacements(m, Seats(m, {7}))[0].binds());  // A node without cores.
}

TEST(Placement, WhatBoundThemIsRespected) {
  const Machine m = TwoNodes();
  std::vector<RankSeat> seats = {{.bound = {0, 8}}, {.bound = {1, 9}}};
  const auto placements = ChoosePlacements(m, seats);
  EXPECT_FALSE(placements[0].binds() || placements[1].binds());
  EXPECT_EQ(placements[0].reason, "bound by what started it");
  // As Open MPI binds more than two ranks: to packages in turn.
  const std::vector<int> first = {0, 1, 2, 3, 8, 9, 10, 11};
  const std::vector<int> second = {4, 5, 6, 7, 12, 13, 14, 15};
  seats = {{.bound = first}, {.bound = second}, {.bound = first}, {.bound = second}};
  EXPECT_THAT(Chosen(m, seats),
              ElementsAre("0-1,8-9 of 0", "4-5,12-13 of 1", "2-3,10-11 of 0", "6-7,14-15 of 1"));
  // As taskset or a job's control group leaves some processors to all, here without siblings.
  seats = {{.bound = {1, 2, 5, 6}}, {.bound = {1, 2, 5, 6}}};
  EXPECT_THAT(Chosen(m, seats), ElementsAre("1-2 of 0", "5-6 of 1"));
  seats = {{.bound = {1, 2}, .gpu_node = 1}, {.bound = {1, 2}, .gpu_node = 1}};
  EXPECT_EQ(ChoosePlacements(m, seats)[0].reason,
            "2 ranks, but 0 cores on NUMA node 1, their GPUs'");
}

TEST(Machine, HwlocsDescriptionIsRead) {
  if (HwlocVersion().empty()) GTEST_SKIP() << "built without hwloc";
  const Result<Machine> machine = SyntheticMachine("pack:2 numa:1(memory=1073741824) core:4 pu:2");
  ASSERT_TRUE(machine.ok()) << machine.status().message();
  EXPECT_EQ(machine->packages, 2);
  ASSERT_EQ(machine->nodes.size(), 2U);
  EXPECT_EQ(machine->nodes[1].number, 1);
  EXPECT_EQ(machine->nodes[1].memory, Bytes{1} << 30);
  ASSERT_EQ(machine->cores.size(), 8U);
  EXPECT_THAT(machine->cores[5].pus, ElementsAre(10, 11));
  EXPECT_EQ(machine->cores[5].node, 1);
  EXPECT_EQ(machine->processors(), 16);
  EXPECT_FALSE(machine->is_bound());
  EXPECT_EQ(SyntheticMachine("nonsense:0").status().code(), ErrorCode::kResources);
}

TEST(Machine, BindingIsTheThreadsThatFollowToo) {
  if (HwlocVersion().empty()) GTEST_SKIP() << "built without hwloc";
  const Result<Machine> before = ReadMachine();
  ASSERT_TRUE(before.ok()) << before.status().message();
  ASSERT_FALSE(before->bound.empty());
  const int processor = before->bound.back();
  const Status bound = BindProcess({processor}, before->cores[0].node);
  if (!bound.ok()) GTEST_SKIP() << "no binding here: " << bound.message();
  const Result<Machine> after = ReadMachine();
  ASSERT_TRUE(after.ok());
  EXPECT_THAT(after->bound, ElementsAre(processor));
  EXPECT_EQ(after->is_bound(), before->processors() > 1);
  std::thread([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(processor), &set));
  }).join();
  EXPECT_TRUE(BindProcess(before->bound, -1).ok());
}

TEST(Machine, ProcessorsAreListedInRuns) {
  EXPECT_EQ(ProcessorList({}), "");
  EXPECT_EQ(ProcessorList({3}), "3");
  EXPECT_EQ(ProcessorList({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
}

}  // namespace
}  // namespace wsi
