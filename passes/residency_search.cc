#include "passes/residency_search.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "passes/residency_starts.h"

namespace wsi {
namespace {

// How many gaps are weighed against each other where memory is shortest.
constexpr size_t kWeighed = 12;
// How many of them are changed before weighing anew.
constexpr size_t kChanged = 4;
// How many starts are improved to the end.
constexpr size_t kImproved = 3;
// How often the best plan is shaken, and how much of it: one gap in so many.
constexpr int kShakes = 24;
constexpr int kShakesOnTheWay = 4;
constexpr uint64_t kShaken = 4;
// A plan this close to one that keeps everything is good enough.
constexpr double kGoodEnough = 1.01;
// A change must save this share of the step, lest the search crawl.
constexpr double kWorthwhile = 1e-6;

struct Candidate {
  std::vector<GapChoice> choices;
  StepCost cost;
  double excess = 0;  // Of device and host.
};

class Search {
 public:
  Search(const ResidencyModel& model, const ResidencyGoal& goal)
      : model_(model), goal_(goal), cost_(model, goal.device_budget, goal.copies) {}

  ResidencyAnswer Run();

 private:
  struct Change {
    int gap = -1;
    GapChoice choice;
    double gain = 0;  // Excess saved per second added.
  };

  void Measure(Candidate& candidate);
  bool CanRepeat(const ModelMemory& memory, int gap) const;
  bool IsAllowed(int gap, const GapChoice& choice) const;
  std::vector<GapChoice> Alternatives(int gap, const GapChoice& current) const;
  void FindPositions();
  int position(int op) const { return positions_[static_cast<size_t>(op)]; }
  bool IsPromising(const Candidate& candidate, int g, const GapChoice& choice) const;
  static bool IsBetter(const Candidate& a, const Candidate& b);
  std::vector<int> GapsAtPeak(const Candidate& candidate);
  bool MendOnce(Candidate& candidate);
  void Mend(Candidate& candidate, int rounds);
  bool TryChange(Candidate& candidate, int gap, const GapChoice& choice, int rounds);
  void Improve(Candidate& candidate, int most_rounds);
  Candidate Begin(std::vector<GapChoice> choices);
  std::optional<ResidencyAnswer> GoOn(std::span<const GapChoice> from, double kept_seconds);
  void ShakeOften(Candidate& best, int times, double kept_seconds);
  ResidencyAnswer Answer(Candidate candidate) const;
  Candidate Shake(const Candidate& from);
  bool HasWork() const { return work_ < goal_.max_work; }

  const ResidencyModel& model_;
  const ResidencyGoal& goal_;
  ResidencyCost cost_;
  int64_t work_ = 0;
  uint64_t random_ = 0x9E3779B97F4A7C15ULL;
  std::vector<int> positions_;  // By operator of the model, of the last candidate looked at.
  std::vector<Bytes> demand_;   // By position, of the candidate that is improved.
  Bytes smallest_device_ = -1;
  Bytes smallest_host_ = -1;
};

void Search::Measure(Candidate& candidate) {
  candidate.cost = cost_.Evaluate(candidate.choices);
  work_ += static_cast<int64_t>(cost_.schedule().ops.size() + cost_.schedule().stays.size());
  if (!candidate.cost.is_possible) return;
  candidate.excess = candidate.cost.excess;
  const Bytes host_excess = candidate.cost.host_peak - goal_.host_budget;
  const bool fits_host = goal_.host_budget == 0 || host_excess <= 0;
  if (!fits_host) candidate.excess += static_cast<double>(host_excess);
  const auto lower = [](Bytes& least, Bytes bytes) {
    if (least < 0 || bytes < least) least = bytes;
  };
  if (fits_host) lower(smallest_device_, candidate.cost.device_peak);
  if (candidate.cost.excess == 0) lower(smallest_host_, candidate.cost.host_peak);
}

bool Search::CanRepeat(const ModelMemory& memory, int gap) const {
  const ModelOp& maker = model_.ops[static_cast<size_t>(memory.maker)];
  return maker.is_repeatable && model_.gaps[static_cast<size_t>(gap)].end <= maker.repeatable_until;
}

bool Search::IsAllowed(int gap, const GapChoice& choice) const {
  const ModelMemory& memory =
      model_.memories[static_cast<size_t>(model_.gaps[static_cast<size_t>(gap)].memory)];
  switch (choice.residency) {
    case Residency::kKeep: return true;
    case Residency::kRecompute:
      return goal_.may_recompute && memory.kind == MemoryKind::kMade && CanRepeat(memory, gap);
    case Residency::kOffload: return goal_.may_offload;
  }
  return false;
}

std::vector<GapChoice> Search::Alternatives(int gap, const GapChoice& current) const {
  std::vector<GapChoice> choices;
  for (const Residency residency : {Residency::kKeep, Residency::kRecompute, Residency::kOffload}) {
    for (const bool is_brief : {false, true}) {
      const GapChoice choice{residency, is_brief};
      if (residency == Residency::kKeep && is_brief) continue;
      if (choice != current && IsAllowed(gap, choice)) choices.push_back(choice);
    }
  }
  return choices;
}

bool Search::IsBetter(const Candidate& a, const Candidate& b) {
  if (a.cost.is_possible != b.cost.is_possible) return a.cost.is_possible;
  if (!a.cost.is_possible) return false;
  if (a.excess != b.excess) return a.excess < b.excess;
  return a.cost.seconds < b.cost.seconds * (1 - kWorthwhile);
}

void Search::FindPositions() {
  const ResidencySchedule& schedule = cost_.schedule();
  positions_.resize(model_.ops.size());
  for (size_t p = 0; p < schedule.ops.size(); ++p) {
    if (!schedule.ops[p].is_repeat) {
      positions_[static_cast<size_t>(schedule.ops[p].op)] = static_cast<int>(p);
    }
  }
}

// Whether the change may make the step faster, judged without measuring it: where nothing
// stalls, only what takes work away can, and what is kept needs room.
bool Search::IsPromising(const Candidate& candidate, int g, const GapChoice& choice) const {
  const GapChoice& now = candidate.choices[static_cast<size_t>(g)];
  if (choice.residency == Residency::kKeep) {
    const Gap& gap = model_.gaps[static_cast<size_t>(g)];
    const Bytes size = model_.memories[static_cast<size_t>(gap.memory)].size;
    const int begin = position(gap.begin);
    // Towards its end other things may be brought back for its sake.
    const int end = begin + (position(gap.end) - begin) * 3 / 4;
    for (int p = begin + 1; p < end; ++p) {
      if (demand_[static_cast<size_t>(p)] + size > goal_.device_budget) return false;
    }
    return true;
  }
  if (candidate.cost.stalled > candidate.cost.seconds * kWorthwhile) return true;
  return now.residency == Residency::kRecompute && choice.residency == Residency::kOffload;
}

// The gaps in which memory is held at the operator that needs the most, largest first.
// REQUIRES: the candidate is the last one measured.
std::vector<int> Search::GapsAtPeak(const Candidate& candidate) {
  const std::vector<Bytes>& bytes = cost_.demand_bytes();
  const bool is_device = candidate.cost.excess > 0;
  const auto peak = static_cast<int>(std::max_element(bytes.begin(), bytes.end()) - bytes.begin());
  FindPositions();
  std::vector<int> gaps;
  for (size_t g = 0; g < model_.gaps.size(); ++g) {
    const Gap& gap = model_.gaps[g];
    const GapChoice& choice = candidate.choices[g];
    if (is_device) {
      const bool spans = position(gap.begin) < peak && peak < position(gap.end);
      if (!spans || choice.is_brief) continue;
    } else if (choice.residency != Residency::kOffload) {
      continue;
    }
    gaps.push_back(static_cast<int>(g));
  }
  const auto size = [&](int g) {
    return model_.memories[static_cast<size_t>(model_.gaps[static_cast<size_t>(g)].memory)].size;
  };
  std::stable_sort(gaps.begin(), gaps.end(), [&](int a, int b) { return size(a) > size(b); });
  return gaps;
}

// Changes what saves the most excess per second where the excess is largest. False where
// nothing helps.
bool Search::MendOnce(Candidate& candidate) {
  std::vector<Change> changes;
  size_t weighed = 0;
  for (const int gap : GapsAtPeak(candidate)) {
    const auto g = static_cast<size_t>(gap);
    const GapChoice before = candidate.choices[g];
    Change best;
    for (const GapChoice& choice : Alternatives(gap, before)) {
      if (choice.residency == Residency::kKeep && candidate.cost.excess > 0) continue;
      Candidate changed = candidate;
      changed.choices[g] = choice;
      Measure(changed);
      if (!changed.cost.is_possible || changed.excess >= candidate.excess) continue;
      const double added = changed.cost.seconds - candidate.cost.seconds;
      const double gain =
          (candidate.excess - changed.excess) / std::max(added, candidate.cost.seconds * 1e-7);
      if (gain > best.gain) best = {.gap = gap, .choice = choice, .gain = gain};
    }
    if (best.gain > 0) changes.push_back(best);
    if (best.gain > 0 && ++weighed >= kWeighed) break;
    if (!HasWork()) break;
  }
  if (changes.empty()) return false;
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.gain > b.gain; });
  bool changed_any = false;
  for (size_t i = 0; i < std::min(changes.size(), kChanged); ++i) {
    Candidate changed = candidate;
    changed.choices[static_cast<size_t>(changes[i].gap)] = changes[i].choice;
    Measure(changed);
    if (!changed.cost.is_possible || changed.excess >= candidate.excess) continue;
    candidate = std::move(changed);
    changed_any = true;
    if (candidate.excess == 0) break;
  }
  Measure(candidate);
  return changed_any;
}

void Search::Mend(Candidate& candidate, int rounds) {
  while (candidate.cost.is_possible && candidate.excess > 0 && rounds-- > 0 && HasWork()) {
    if (!MendOnce(candidate)) return;
  }
}

// Changes one gap and mends what that breaks; keeps it if that is better.
bool Search::TryChange(Candidate& candidate, int gap, const GapChoice& choice, int rounds) {
  Candidate changed = candidate;
  changed.choices[static_cast<size_t>(gap)] = choice;
  Measure(changed);
  if (rounds > 0 && changed.excess > 0 && changed.cost.seconds < candidate.cost.seconds) {
    Mend(changed, rounds);
  }
  if (!IsBetter(changed, candidate)) return false;
  candidate = std::move(changed);
  return true;
}

void Search::Improve(Candidate& candidate, int most_rounds) {
  std::vector<int> gaps(model_.gaps.size());
  std::iota(gaps.begin(), gaps.end(), 0);
  const auto size = [&](int g) {
    return model_.memories[static_cast<size_t>(model_.gaps[static_cast<size_t>(g)].memory)].size;
  };
  std::stable_sort(gaps.begin(), gaps.end(), [&](int a, int b) { return size(a) > size(b); });
  const auto look = [&] {
    Measure(candidate);
    FindPositions();
    demand_ = cost_.demand_bytes();
  };
  // Changes that stand alone first; then those that something else has to make room for.
  for (int rounds = 0; rounds <= most_rounds; rounds += 2) {
    bool changed = true;
    while (changed && HasWork()) {
      changed = false;
      look();
      for (const int gap : gaps) {
        for (const GapChoice& choice :
             Alternatives(gap, candidate.choices[static_cast<size_t>(gap)])) {
          if (!HasWork()) return;
          if (rounds == 0 && !IsPromising(candidate, gap, choice)) continue;
          if (!TryChange(candidate, gap, choice, rounds)) continue;
          changed = true;
          look();
        }
      }
    }
  }
}

ResidencyAnswer Search::Answer(Candidate candidate) const {
  ResidencyAnswer answer{std::move(candidate.choices), candidate.cost, smallest_device_,
                         smallest_host_};
  answer.cost.is_possible = candidate.cost.is_possible && candidate.excess == 0;
  return answer;
}

Candidate Search::Begin(std::vector<GapChoice> choices) {
  Candidate candidate;
  candidate.choices = std::move(choices);
  for (size_t g = 0; g < candidate.choices.size(); ++g) {
    if (!IsAllowed(static_cast<int>(g), candidate.choices[g])) candidate.choices[g] = {};
  }
  Measure(candidate);
  return candidate;
}

// Changes some of the gaps around one place at random, and mends and improves what comes of
// it.
Candidate Search::Shake(const Candidate& from) {
  const auto random = [&](uint64_t below) {  // xorshift64* (Vigna 2016).
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return (random_ * 0x2545F4914F6CDD1DULL >> 33) % below;
  };
  std::vector<GapChoice> choices = from.choices;
  const auto center = static_cast<int>(random(model_.ops.size()));
  for (size_t g = 0; g < choices.size(); ++g) {
    const Gap& gap = model_.gaps[g];
    if (gap.begin > center || gap.end < center || random(kShaken) != 0) continue;
    const std::vector<GapChoice> others = Alternatives(static_cast<int>(g), choices[g]);
    if (!others.empty()) choices[g] = others[random(others.size())];
  }
  Candidate shaken = Begin(std::move(choices));
  Mend(shaken, static_cast<int>(model_.gaps.size()));
  if (shaken.cost.is_possible && shaken.excess == 0) Improve(shaken, 0);
  return shaken;
}

void Search::ShakeOften(Candidate& best, int times, double kept_seconds) {
  for (int i = 0; i < times && HasWork() && best.cost.seconds > kept_seconds * kGoodEnough; ++i) {
    Candidate shaken = Shake(best);
    if (IsBetter(shaken, best)) best = std::move(shaken);
  }
}

// From an answer to a goal that was much the same.
std::optional<ResidencyAnswer> Search::GoOn(std::span<const GapChoice> from, double kept_seconds) {
  if (from.size() != model_.gaps.size()) return std::nullopt;
  Candidate candidate = Begin({from.begin(), from.end()});
  Mend(candidate, static_cast<int>(model_.gaps.size()));
  if (!candidate.cost.is_possible || candidate.excess > 0) return std::nullopt;
  Improve(candidate, 0);
  ShakeOften(candidate, kShakesOnTheWay, kept_seconds);
  return Answer(std::move(candidate));
}

ResidencyAnswer Search::Run() {
  std::vector<Candidate> candidates;
  for (std::vector<GapChoice>& start : ResidencyStarts(model_, goal_)) {
    Candidate candidate = Begin(std::move(start));
    const bool fits = candidate.cost.is_possible && candidate.excess == 0;
    // Everything kept is the fastest of all where it fits.
    if (fits && (candidates.empty() || goal_.first_fit)) return Answer(std::move(candidate));
    // Everything away takes the least device memory that any plan does.
    const bool is_away = candidates.size() == 1 && goal_.may_offload;
    if (is_away && candidate.cost.excess > 0) return Answer(std::move(candidate));
    if (candidates.empty() && goal_.start != nullptr && !goal_.first_fit) {
      std::optional<ResidencyAnswer> answer = GoOn(*goal_.start, candidate.cost.seconds);
      if (answer) return std::move(*answer);
    }
    candidates.push_back(std::move(candidate));
  }
  const double kept_seconds = candidates[0].cost.seconds;
  for (Candidate& candidate : candidates) {
    // What is kept at first turns out best most often; the others get what is left.
    if (&candidate != &candidates[0] && work_ > goal_.max_work / 2) break;
    Measure(candidate);
    Mend(candidate, static_cast<int>(model_.gaps.size()));
  }
  std::stable_sort(candidates.begin(), candidates.end(), IsBetter);
  candidates.resize(std::min(candidates.size(), kImproved));
  for (Candidate& candidate : candidates) Improve(candidate, 2);
  Candidate best = std::move(*std::min_element(candidates.begin(), candidates.end(), IsBetter));
  ShakeOften(best, kShakes, kept_seconds);
  return Answer(std::move(best));
}

}  // namespace

ResidencyAnswer SearchResidency(const ResidencyModel& model, const ResidencyGoal& goal) {
  return Search(model, goal).Run();
}

}  // namespace wsi
