// Dynamic loss scaling (Micikevicius et al., 2018): how far gradients are lifted above
// the smallest numbers of half precision.
#pragma once

#include <cstdint>

namespace wsi {

class LossScale {
 public:
  static constexpr double kFirst = 65536;
  static constexpr double kFloor = 1;
  static constexpr int64_t kGrowAfter = 2000;  // Steps without an overflow.
  static constexpr int64_t kMostSkipped = 50;  // In a row.

  // What checkpoints keep.
  struct State {
    double scale = kFirst;
    int64_t good_steps = 0;  // Since the scale was last changed.
    int64_t skipped_in_row = 0;
    bool operator==(const State&) const = default;
  };

  const State& state() const { return state_; }
  void Restore(const State& state) { state_ = state; }

  // Behind a step whose gradients were finite: doubles the scale after kGrowAfter of them.
  void Keep();
  // Behind a skipped step: halves the scale. False where that leads nowhere: the scale is
  // at its floor, or kMostSkipped steps in a row were skipped.
  bool Skip();
  // Whether Skip would give up.
  bool IsLastChance() const {
    return state_.scale / 2 < kFloor || state_.skipped_in_row + 1 >= kMostSkipped;
  }

 private:
  State state_;
};

}  // namespace wsi
