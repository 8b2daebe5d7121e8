// CopyTiming: when the copies of a step are issued, how long they keep memory, and how long
// the step then takes on its lanes.
//
//   compute  | op 0 | op 1 | op 2 |   op 3   | op 4 |
//   out             [== a ==]
//   in                     [==== b ====]
//                            a's memory: until the copy has ended
//                          b's memory: from where it is issued; op 4 needs it
#pragma once

#include <span>
#include <vector>

#include "runtime/base/checked.h"

namespace wsi {

// Times in seconds; positions count the operators of the compute lane.
struct TimedCopy {
  bool is_in = false;  // Host to device, or back.
  int position = 0;    // In: the operator that needs it. Out: the one behind which the
                       // contents are complete; -1: from the start.
  int last = 0;        // Out: the last operator that uses the device memory.
  int source = -1;     // In: the copy out that it takes back, or -1.
  Bytes bytes = 0;
  double seconds = 0;

  // Results.
  int issue = 0;  // Issued right before this operator.
  int hold = 0;   // Out: has ended before this operator, which may reuse the memory.
  double start = 0;
  double end = 0;
};

enum class CopyMode : uint8_t {
  kDemand,  // In where it is needed, out behind the last use; the compute lane waits.
  // Out as soon as the contents are complete; in as late as still hides it, or, where that
  // leaves somebody waiting, as early as there is room.
  kTimed,
};

struct CopyTimingResult {
  double seconds = 0;  // Of the step.
  double stalled = 0;  // Of the compute lane.
};

// Sets issue and hold of every copy and replays them. `live`: device bytes at each operator with
// copies on demand; memory that copies keep longer is added, within `budget` (0: any). REQUIRES:
// live has one entry more than op_seconds, for the end of the step.
CopyTimingResult PlaceCopies(std::span<const double> op_seconds, Bytes budget, CopyMode mode,
                             std::vector<Bytes>& live, std::vector<TimedCopy>& copies);

// Replays the lanes: operators in order, copies of each direction in the order in which they
// are issued, and whoever needs one waits. Sets start and end.
CopyTimingResult ReplayCopies(std::span<const double> op_seconds, std::vector<TimedCopy>& copies);

}  // namespace wsi
