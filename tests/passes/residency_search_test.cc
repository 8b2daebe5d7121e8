// The search for residencies against an oracle that tries every choice of every gap.
#include "passes/residency_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace wsi {
namespace {

// A training step: a chain with skips forward, and its gradients backward.
class RandomModel {
 public:
  explicit RandomModel(uint64_t seed) : random_(seed) {}

  ResidencyModel Make() {
    model_.in_rate = model_.out_rate = 1.0;  // Bytes per second; so sizes are copy times.
    model_.copy_seconds = 0.01;
    const int forward = 4 + static_cast<int>(Below(6));
    const int input = Add(MemoryKind::kInput);
    std::vector<int> made = {input};
    for (int i = 0; i < forward; ++i) {
      std::vector<int> reads = {made.back()};
      if (i > 1 && Below(4) == 0) reads.push_back(made[static_cast<size_t>(Below(i))]);
      made.push_back(AddOp(reads, true));
    }
    int gradient = AddOp({made.back()}, false);
    for (size_t i = made.size(); i-- > 1;) {
      std::vector<int> reads = {gradient};
      if (Below(4) != 0) reads.push_back(made[i]);
      if (Below(3) != 0) reads.push_back(made[i - 1]);
      gradient = AddOp(reads, false);
    }
    AddGaps();
    return std::move(model_);
  }

 private:
  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  int Add(MemoryKind kind) {
    ModelMemory memory;
    memory.kind = kind;
    memory.size = 1 + Below(20);
    model_.memories.push_back(memory);
    return static_cast<int>(model_.memories.size()) - 1;
  }
  int AddOp(const std::vector<int>& reads, bool is_repeatable) {
    const auto at = static_cast<int>(model_.ops.size());
    const int made = Add(MemoryKind::kMade);
    model_.memories[static_cast<size_t>(made)].maker = at;
    ModelOp op;
    op.seconds = 0.5 + static_cast<double>(Below(20));
    op.reads = reads;
    std::sort(op.reads.begin(), op.reads.end());
    op.reads.erase(std::unique(op.reads.begin(), op.reads.end()), op.reads.end());
    op.writes = {made};
    op.is_repeatable = is_repeatable;
    op.repeatable_until = 1000;
    for (const int m : op.writes) model_.memories[static_cast<size_t>(m)].accesses.push_back(at);
    for (const int m : op.reads) model_.memories[static_cast<size_t>(m)].accesses.push_back(at);
    model_.ops.push_back(std::move(op));
    return made;
  }
  void AddGaps() {
    model_.gap_behind.resize(model_.memories.size());
    for (size_t m = 0; m < model_.memories.size(); ++m) {
      const std::vector<int>& accesses = model_.memories[m].accesses;
      model_.gap_behind[m].assign(accesses.size(), -1);
      for (size_t i = 0; i + 1 < accesses.size(); ++i) {
        if (accesses[i + 1] - accesses[i] < 2) continue;
        model_.gap_behind[m][i] = static_cast<int>(model_.gaps.size());
        model_.gaps.push_back(
            {static_cast<int>(m), static_cast<int>(i), accesses[i], accesses[i + 1]});
      }
    }
  }

  std::mt19937_64 random_;
  ResidencyModel model_;
};

// Everything that can be done in a gap.
constexpr GapChoice kChoices[] = {{Residency::kKeep, false},
                                  {Residency::kRecompute, false},
                                  {Residency::kOffload, false},
                                  {Residency::kRecompute, true},
                                  {Residency::kOffload, true}};

double BestOfAll(const ResidencyModel& model, Bytes budget) {
  ResidencyCost cost(model, budget, CopyMode::kTimed);
  std::vector<GapChoice> choices(model.gaps.size());
  std::vector<size_t> digits(model.gaps.size(), 0);
  double best = -1;
  while (true) {
    const StepCost step = cost.Evaluate(choices);
    const bool fits = step.is_possible && step.device_peak <= budget;
    if (fits && (best < 0 || step.seconds < best)) best = step.seconds;
    size_t at = 0;
    while (at < digits.size() && ++digits[at] == std::size(kChoices)) {
      digits[at] = 0;
      choices[at++] = kChoices[0];
    }
    if (at == digits.size()) return best;
    choices[at] = kChoices[digits[at]];
  }
}

TEST(ResidencySearch, IsCloseToTheBestOfAllChoices) {
  int compared = 0;
  double ratios = 0;
  double worst = 1;
  for (uint64_t seed = 0; compared < 150; ++seed) {
    const ResidencyModel model = RandomModel(seed).Make();
    if (model.gaps.empty() || model.gaps.size() > 6) continue;
    ResidencyCost free_cost(model, 0, CopyMode::kTimed);
    const std::vector<GapChoice> keep(model.gaps.size());
    const std::vector<GapChoice> away(model.gaps.size(), {Residency::kOffload, true});
    const Bytes highest = free_cost.Evaluate(keep).device_peak;
    const Bytes lowest = free_cost.Evaluate(away).device_peak;
    const Bytes budget = lowest + (highest - lowest) * static_cast<Bytes>(seed % 5) / 5;
    const double best = BestOfAll(model, budget);
    const ResidencyAnswer answer = SearchResidency(model, {.device_budget = budget});
    ASSERT_EQ(answer.cost.is_possible, best >= 0) << "seed " << seed;
    if (best < 0) continue;
    EXPECT_LE(answer.cost.device_peak, budget) << "seed " << seed;
    EXPECT_GE(answer.cost.seconds, best * (1 - 1e-9)) << "seed " << seed;
    ratios += answer.cost.seconds / best;
    worst = std::max(worst, answer.cost.seconds / best);
    ++compared;
  }
  EXPECT_LE(ratios / compared, 1.05);
  EXPECT_LE(worst, 1.5);
  RecordProperty("mean_ratio", std::to_string(ratios / compared));
  RecordProperty("worst_ratio", std::to_string(worst));
}

TEST(ResidencySearch, KeepsEverythingWhereItFits) {
  const ResidencyModel model = RandomModel(7).Make();
  const ResidencyAnswer answer = SearchResidency(model, {.device_budget = 1 << 20});
  EXPECT_TRUE(answer.cost.is_possible);
  for (const GapChoice& choice : answer.choices) EXPECT_EQ(choice, GapChoice{});
}

TEST(ResidencySearch, SaysWhatIsTheLeast) {
  const ResidencyModel model = RandomModel(7).Make();
  const ResidencyAnswer answer = SearchResidency(model, {.device_budget = 1});
  EXPECT_FALSE(answer.cost.is_possible);
  ASSERT_GT(answer.smallest_device, 1);
  EXPECT_TRUE(SearchResidency(model, {.device_budget = answer.smallest_device}).cost.is_possible);
}

// More memory never makes the step slower by much: each budget may use the plan of the
// one below it.
TEST(ResidencySearch, LadderOfBudgets) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const ResidencyModel model = RandomModel(seed).Make();
    double before = -1;
    for (Bytes budget = 10; budget < 200; budget += 10) {
      const ResidencyAnswer answer = SearchResidency(model, {.device_budget = budget});
      if (!answer.cost.is_possible) {
        EXPECT_LT(before, 0) << "seed " << seed << " budget " << budget;
        continue;
      }
      EXPECT_LE(answer.cost.device_peak, budget);
      if (before > 0) {
        EXPECT_LE(answer.cost.seconds, before * 1.25) << "seed " << seed;
      }
      before = answer.cost.seconds;
    }
    EXPECT_GT(before, 0);
  }
}

}  // namespace
}  // namespace wsi
