// The cost model of collectives: seconds in which N ranks get the sum of n bytes each, over
// links of latency a and bandwidth B each way.
//
//   ring      2 (N - 1) a + 2 (N - 1)/N n/B     every rank adds up one slice, then all gather
//   trees     2 log2(N) a + 2 n/B               two binary trees, each for half of the bytes
//   doubling    log2(N) (a + n/B)               the whole, from partner to partner
//
// Ring and doubling: Thakur, Rabenseifner and Gropp, "Optimization of Collective
// Communication Operations in MPICH", 2005. Trees: Sanders, Speck and Traeff, "Two-tree
// algorithms for full bandwidth broadcast, reduction and scan", 2009. Libraries choose by
// size, so that the least of them counts.
#pragma once

#include <span>

#include "runtime/base/checked.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct RankLink {
  double latency_seconds = 0;
  double bytes_per_second = 0;
  // A rank adds up, and on a CPU sends, with processors. Where those are the ones that compute,
  // launches beside a collective lose so many seconds a byte of it; 0: nothing.
  double compute_seconds_per_byte = 0;
};

enum class AllReduceOrder : uint8_t {
  kAny,
  kByRanks,  // Sums in the order of the ranks, which sends and waits as a ring does.
};

// 0 for one rank. REQUIRES: ranks and the link's bandwidth are positive.
double AllReduceSeconds(Bytes bytes, int ranks, const RankLink& link, AllReduceOrder order);

struct AllReduceSample {
  Bytes bytes = 0;
  double seconds = 0;
};
// The link that explains sums in any order: a few bytes take its latency, and all of `large`
// together what its bandwidth makes of them.
// REQUIRES: at least two ranks, and a sample; bytes and seconds are positive.
RankLink FitLink(double seconds_of_few_bytes, std::span<const AllReduceSample> large, int ranks);

// What rates know of the link: of what launches lose, operators['AllReduce'].memory_bytes.
RankLink LinkOf(const plan::Rates& rates);
void SetLink(const RankLink& link, plan::Rates& rates);
// Of what a collective adds up; the largest Bytes if it is more. REQUIRES, as below: the plan has
// passed VerifyPlan.
Bytes CollectiveBytes(const plan::Plan& plan, const plan::Collective& collective);
// REQUIRES: with several ranks, the rates' link_bytes is positive.
double CollectiveSeconds(const plan::Rates& rates, const plan::Plan& plan,
                         const plan::Collective& collective, int ranks);
// What of the time of launches that run beside it such a collective of `seconds` takes: 0 to 1.
double ComputeShare(const plan::Rates& rates, const plan::Plan& plan,
                    const plan::Collective& collective, double seconds);

}  // namespace wsi
