#include "runtime/train/loss_scale.h"

namespace wsi {

void LossScale::Keep() {
  state_.skipped_in_row = 0;
  if (++state_.good_steps < kGrowAfter) return;
  state_.good_steps = 0;
  state_.scale *= 2;
}

bool LossScale::Skip() {
  if (IsLastChance()) return false;
  ++state_.skipped_in_row;
  state_.good_steps = 0;
  state_.scale /= 2;
  return true;
}

}  // namespace wsi
