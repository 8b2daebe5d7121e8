// ResidencySchedule: what a step becomes once it is decided, gap by gap, what happens to
// memory that is not in use: which operators run again, and which copies are made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "passes/residency_model.h"

namespace wsi {

enum class Residency : uint8_t {
  kKeep,       // Stays on the device.
  kRecompute,  // Is made again before its next use.
  kOffload,    // Goes to the host and comes back before its next use.
};

struct GapChoice {
  Residency residency = Residency::kKeep;
  // Of what was brought back within the gap because something else is recomputed from it:
  // leaves again at once instead of staying until its next use.
  bool is_brief = false;
  bool operator==(const GapChoice&) const = default;
};

// A time on the device: from the operator or copy that brings the contents to their last
// use. Positions count the operators that run, repeats included.
struct Stay {
  int memory = 0;
  int begin = 0;      // The position of the operator that makes it, or of the first that needs it.
  int last = 0;       // The position of its last use.
  int copy_in = -1;   // In copies; -1: made by an operator, or there from the start.
  int copy_out = -1;  // In copies; -1: never leaves for the host.
};

struct ScheduledOp {
  int op = 0;
  bool is_repeat = false;
  // In operands: the stays that it reads, then those that it writes, in ModelOp's order.
  int first_operand = 0;
};

struct ScheduledCopy {
  bool is_in = false;  // Host to device, or back.
  int stay = 0;
  // In: the operator that needs it. Out: the one behind which the contents are complete;
  // -1: they are there from the start.
  int position = 0;
  int source = -1;  // In: the copy out that it takes back; -1: the home of what persists.
};

struct ResidencySchedule {
  bool is_possible = false;  // Whether everything can be brought back where it is needed.
  std::vector<ScheduledOp> ops;
  std::vector<int> operands;  // Stays.
  std::vector<Stay> stays;
  std::vector<ScheduledCopy> copies;

  void Clear();
};

// Builds schedules of one model, one after the other, in the same memory.
class ResidencyScheduler {
 public:
  // Borrows the model.
  explicit ResidencyScheduler(const ResidencyModel& model);

  // Copies are where they are needed: in right before the first use, out right behind the
  // last. `choices`: one per gap of the model. Valid until the next call.
  const ResidencySchedule& Build(std::span<const GapChoice> choices);

 private:
  static constexpr int kNone = -1;
  static constexpr int kHome = -2;

  bool Ensure(int memory, int op);
  bool BringBack(int memory, int op);
  bool EnsureInputs(int op_index, int op);
  int Enter(int memory, int copy_in);
  void Emit(int op_index, bool is_repeat);
  void Leave(int memory, int op);
  void LeaveBriefOnes(int op);
  void StartCopyOut(int memory);
  bool HasHostCopy(int memory) const { return host_copy_[static_cast<size_t>(memory)] != kNone; }
  bool CanComeBack(int memory) const;
  // The gap that operator `op` lies in or begins, or -1.
  int GapAt(int memory, int op) const;

  const ResidencyModel& model_;
  std::span<const GapChoice> choices_;
  std::vector<int> stay_of_;       // By memory: its stay on the device, or kNone.
  std::vector<int> host_copy_;     // By memory: the copy out that holds it; kHome; kNone.
  std::vector<int> next_access_;   // By memory: index of the next access of the schedule.
  std::vector<int> brought_back_;  // Memories, since the last operator of the old order.
  int depth_ = 0;
  ResidencySchedule schedule_;
};

}  // namespace wsi
