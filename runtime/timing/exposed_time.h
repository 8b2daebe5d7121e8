// How much of the communication between ranks nothing hides.
#pragma once

#include <span>

#include "runtime/plan/plan.pb.h"
#include "runtime/timing/simulate.h"

namespace wsi {

struct CommunicationTime {
  double busy_seconds = 0;     // Of the comm lane.
  double exposed_seconds = 0;  // Of that: while the compute lane runs nothing.
};

// REQUIRES: spans[i] is that of instruction i, predicted or measured; those of a lane follow
// each other.
CommunicationTime ComputeCommunicationTime(const plan::Program& program,
                                           std::span<const Span> spans);

}  // namespace wsi
