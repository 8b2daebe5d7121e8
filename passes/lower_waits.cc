#include "passes/lower_waits.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "runtime/base/checked.h"

namespace wsi {
namespace {

constexpr size_t kLanes = plan::Lane_ARRAYSIZE;
constexpr size_t kTiers = plan::Tier_ARRAYSIZE;

// By lane: the last instruction; -1: none.
using LaneClock = std::array<int, kLanes>;
constexpr LaneClock Never() {
  LaneClock clock{};
  clock.fill(-1);
  return clock;
}

void Join(LaneClock& clock, const LaneClock& other) {
  for (size_t lane = 0; lane < kLanes; ++lane) clock[lane] = std::max(clock[lane], other[lane]);
}

// A run of bytes with one history.
struct Run {
  Bytes end = 0;
  int writer = -1;              // The last instruction that wrote it.
  LaneClock readers = Never();  // Of those since then.
};

class WaitBuilder {
 public:
  WaitBuilder(const plan::Plan& plan, plan::Program& program) : plan_(plan), program_(program) {
    lanes_.fill(Never());
  }

  void Build() {
    for (int i = 0; i < program_.instructions_size(); ++i) Add(i);
  }

 private:
  void Add(int i);
  void Touch(int32_t buffer, bool writes, int i);
  void NeedsEndOf(int instruction) {
    if (instruction < 0) return;
    int& needed = needed_[static_cast<size_t>(program_.instructions(instruction).lane())];
    needed = std::max(needed, instruction);
  }
  std::vector<int> ChooseWaits(size_t lane);

  const plan::Plan& plan_;
  plan::Program& program_;
  std::array<std::map<Bytes, Run>, kTiers> runs_;  // By offset; none: never touched.
  std::array<LaneClock, kLanes> lanes_;            // What has ended when a lane gets there.
  std::vector<LaneClock> ended_;                   // By instruction: what has when it has.
  LaneClock needed_ = Never();                     // Of the instruction at hand.
};

// Cuts the run that contains `at`, if one does, into two.
void Split(std::map<Bytes, Run>& runs, Bytes at) {
  auto next = runs.lower_bound(at);
  if (next != runs.end() && next->first == at) return;
  if (next == runs.begin()) return;
  Run& before = std::prev(next)->second;
  if (before.end <= at) return;
  const Run rest = before;
  before.end = at;
  runs.emplace_hint(next, at, rest);
}

void WaitBuilder::Touch(int32_t b, bool writes, int i) {
  const plan::Buffer& buffer = plan_.buffers(b);
  if (buffer.size() == 0) return;
  std::map<Bytes, Run>& runs = runs_[static_cast<size_t>(buffer.tier())];
  const Bytes begin = buffer.offset();
  const Bytes end = begin + buffer.size();
  Split(runs, begin);
  Split(runs, end);
  const auto first = runs.lower_bound(begin);
  const auto last = runs.lower_bound(end);
  const auto lane = static_cast<size_t>(program_.instructions(i).lane());
  for (auto run = first; run != last; ++run) {
    NeedsEndOf(run->second.writer);
    if (writes) {
      for (const int reader : run->second.readers) NeedsEndOf(reader);
    }
    run->second.readers[lane] = i;
  }
  if (writes || first == last) {
    runs.erase(first, last);
    Run& run = runs[begin];
    run = {.end = end, .writer = writes ? i : -1};
    if (!writes) run.readers[lane] = i;
  }
}

// The waits that give what is needed, latest first, each only where the lane's own order
// and those before do not give it.
std::vector<int> WaitBuilder::ChooseWaits(size_t lane) {
  LaneClock known = lanes_[lane];
  std::vector<int> wanted;
  for (size_t other = 0; other < kLanes; ++other) {
    if (other != lane && needed_[other] > known[other]) wanted.push_back(needed_[other]);
  }
  std::sort(wanted.rbegin(), wanted.rend());
  std::vector<int> waits;
  for (const int instruction : wanted) {
    const auto other = static_cast<size_t>(program_.instructions(instruction).lane());
    if (known[other] >= instruction) continue;
    Join(known, ended_[static_cast<size_t>(instruction)]);
    waits.push_back(instruction);
  }
  std::sort(waits.begin(), waits.end());
  lanes_[lane] = known;
  return waits;
}

void WaitBuilder::Add(int i) {
  plan::Instruction& instruction = *program_.mutable_instructions(i);
  const auto lane = static_cast<size_t>(instruction.lane());
  needed_ = Never();
  const auto touch = [&](int32_t value, bool writes) {
    if (value >= 0) Touch(plan_.values(value).buffer(), writes, i);
  };
  for (const int32_t value : instruction.launch().inputs()) touch(value, false);
  for (const int32_t value : instruction.launch().outputs()) touch(value, true);
  if (instruction.has_launch() && instruction.launch().workspace() >= 0) {
    Touch(instruction.launch().workspace(), true, i);
  }
  if (instruction.has_copy()) {
    Touch(instruction.copy().from(), false, i);
    Touch(instruction.copy().to(), true, i);
  }
  for (const int32_t value : instruction.collective().values()) touch(value, true);
  needed_[lane] = -1;  // Its own lane is in order.
  if (instruction.has_barrier()) {
    LaneClock all = lanes_[lane];
    for (const LaneClock& other : lanes_) Join(all, other);
    all[lane] = i;
    lanes_.fill(all);
  } else {
    const std::vector<int> waits = ChooseWaits(lane);
    instruction.mutable_waits()->Assign(waits.begin(), waits.end());
    lanes_[lane][lane] = i;
  }
  ended_.push_back(lanes_[lane]);
}

}  // namespace

void SetWaits(const plan::Plan& plan, plan::Program& program) {
  WaitBuilder(plan, program).Build();
}

}  // namespace wsi
