#include "passes/residency_cost.h"

#include <algorithm>
#include <numeric>

#include "passes/liveness.h"

namespace wsi {

// An output that takes the room of an input that dies there was counted beside it.
void ResidencyCost::CountInPlace(size_t position) {
  const ScheduledOp& scheduled = schedule_->ops[position];
  const ModelOp& op = model_.ops[static_cast<size_t>(scheduled.op)];
  const auto at = static_cast<int>(position);
  const auto stay_of = [&](const std::vector<int>& list, size_t first, int memory) -> const Stay& {
    const auto i = static_cast<size_t>(std::find(list.begin(), list.end(), memory) - list.begin());
    const int stay = schedule_->operands[static_cast<size_t>(scheduled.first_operand) + first + i];
    return schedule_->stays[static_cast<size_t>(stay)];
  };
  for (size_t i = 0; i < op.in_place.size(); ++i) {
    const auto& [to, from] = op.in_place[i];
    bool is_taken = false;
    for (size_t before = 0; before < i; ++before) {
      is_taken = is_taken || op.in_place[before].first == to || op.in_place[before].second == from;
    }
    if (is_taken) continue;
    const Stay& output = stay_of(op.writes, op.reads.size(), to);
    const Stay& input = stay_of(op.reads, 0, from);
    if (output.begin == at && input.begin < at && input.last == at && input.copy_out < 0) {
      demand_[position] -= model_.memories[static_cast<size_t>(from)].size;
    }
  }
}

void ResidencyCost::CountBytes() {
  const size_t positions = schedule_->ops.size();
  demand_.assign(positions + 2, 0);
  for (const Stay& stay : schedule_->stays) {
    const Bytes size = model_.memories[static_cast<size_t>(stay.memory)].size;
    demand_[static_cast<size_t>(stay.begin)] += size;
    demand_[static_cast<size_t>(stay.last) + 1] -= size;
  }
  demand_[0] += model_.fixed_bytes;
  std::partial_sum(demand_.begin(), demand_.end(), demand_.begin());
  demand_.pop_back();
  seconds_.resize(positions);
  for (size_t p = 0; p < positions; ++p) {
    const ModelOp& op = model_.ops[static_cast<size_t>(schedule_->ops[p].op)];
    seconds_[p] = op.seconds;
    demand_[p] += op.workspace;
    if (!op.in_place.empty()) CountInPlace(p);
  }
}

void ResidencyCost::ListCopies() {
  copies_.clear();
  for (const ScheduledCopy& copy : schedule_->copies) {
    const Stay& stay = schedule_->stays[static_cast<size_t>(copy.stay)];
    const Bytes bytes = model_.memories[static_cast<size_t>(stay.memory)].size;
    const double rate = copy.is_in ? model_.in_rate : model_.out_rate;
    copies_.push_back({.is_in = copy.is_in,
                       .position = copy.position,
                       .last = stay.last,
                       .source = copy.source,
                       .bytes = bytes,
                       .seconds = model_.copy_seconds + static_cast<double>(bytes) / rate});
  }
}

// From where a copy out is issued to the last copy in that takes it back.
Bytes ResidencyCost::HostPeak() {
  host_.assign(schedule_->ops.size() + 2, 0);
  std::vector<int> last(copies_.size(), -1);
  for (const TimedCopy& copy : copies_) {
    if (copy.is_in && copy.source >= 0) {
      int& until = last[static_cast<size_t>(copy.source)];
      until = std::max(until, copy.position);
    }
  }
  for (size_t i = 0; i < copies_.size(); ++i) {
    if (last[i] < 0) continue;  // A home, counted with the homes.
    const Bytes room = AlignUp(copies_[i].bytes, TierAlignment(Tier::kHost));
    host_[static_cast<size_t>(copies_[i].issue)] += room;
    host_[static_cast<size_t>(last[i]) + 1] -= room;
  }
  Bytes now = model_.homed_bytes;
  Bytes peak = now;
  for (const Bytes change : host_) {
    now += change;
    peak = std::max(peak, now);
  }
  return peak;
}

StepCost ResidencyCost::Evaluate(std::span<const GapChoice> choices) {
  StepCost cost;
  schedule_ = &scheduler_.Build(choices);
  cost.is_possible = schedule_->is_possible;
  if (!cost.is_possible) return cost;
  CountBytes();
  for (const Bytes bytes : demand_) {
    cost.device_peak = std::max(cost.device_peak, bytes);
    if (budget_ > 0 && bytes > budget_) cost.excess += static_cast<double>(bytes - budget_);
  }
  ListCopies();
  live_ = demand_;
  const CopyTimingResult times = PlaceCopies(seconds_, budget_, mode_, live_, copies_);
  cost.seconds = times.seconds;
  cost.stalled = times.stalled;
  cost.host_peak = HostPeak();
  return cost;
}

}  // namespace wsi
