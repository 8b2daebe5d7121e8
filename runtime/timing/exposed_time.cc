#include "runtime/timing/exposed_time.h"

#include <algorithm>
#include <vector>

namespace wsi {
namespace {

std::vector<Span> SpansOf(const plan::Program& program, plan::Lane lane,
                          std::span<const Span> spans) {
  std::vector<Span> own;
  for (int i = 0; i < program.instructions_size(); ++i) {
    const Span& span = spans[static_cast<size_t>(i)];
    if (program.instructions(i).lane() == lane && span.start >= 0) own.push_back(span);
  }
  return own;
}

}  // namespace

CommunicationTime ComputeCommunicationTime(const plan::Program& program,
                                           std::span<const Span> spans) {
  const std::vector<Span> computing = SpansOf(program, plan::LANE_COMPUTE, spans);
  CommunicationTime time;
  auto next = computing.begin();  // The first that ends behind the start of what is looked at.
  for (const Span& span : SpansOf(program, plan::LANE_COMM, spans)) {
    double exposed = span.end - span.start;
    time.busy_seconds += exposed;
    while (next != computing.end() && next->end <= span.start) ++next;
    for (auto other = next; other != computing.end() && other->start < span.end; ++other) {
      exposed -= std::max(0.0, std::min(other->end, span.end) - std::max(other->start, span.start));
    }
    time.exposed_seconds += exposed;
  }
  return time;
}

}  // namespace wsi
