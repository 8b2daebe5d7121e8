#include "passes/prefetch.h"

#include <algorithm>

#include "passes/copy_schedule.h"
#include "passes/pass_options.h"
#include "runtime/timing/rates.h"

namespace wsi {
namespace {

// Where the group that holds `position` begins, and ends.
int GroupBegin(const std::vector<int>& ends, int position) {
  const auto at = std::upper_bound(ends.begin(), ends.end(), position);
  return at == ends.begin() ? 0 : *std::prev(at);
}
int GroupEnd(const std::vector<int>& ends, int position, int positions) {
  const auto at = std::upper_bound(ends.begin(), ends.end(), position);
  return at == ends.end() ? positions : *at;
}

void PlaceByGroup(const PrefetchOptions& options, CopySchedule& schedule) {
  const std::vector<int>& ends = schedule.group_ends;
  const auto positions = static_cast<int>(schedule.ops.size());
  const auto extend = [&](TimedCopy& copy, int from, int to) {
    const auto fits = [&](int p) {
      return options.device_budget == 0 ||
             schedule.live[static_cast<size_t>(p)] + copy.bytes <= options.device_budget;
    };
    for (int p = from; p < to; ++p) {
      if (!fits(p)) return false;
    }
    for (int p = from; p < to; ++p) schedule.live[static_cast<size_t>(p)] += copy.bytes;
    return true;
  };
  for (TimedCopy& copy : schedule.copies) {
    if (!copy.is_in) {
      // The memory is kept to the end of the group, whose barrier waits for the copy.
      copy.issue = copy.last + 1;
      const int end = GroupEnd(ends, copy.last, positions);
      copy.hold = extend(copy, copy.issue, end) ? end : copy.issue;
      continue;
    }
    const int own = GroupBegin(ends, copy.position);
    int earliest = 0;
    if (copy.source >= 0) earliest = schedule.copies[static_cast<size_t>(copy.source)].hold;
    copy.issue = copy.position;
    if (own >= earliest && extend(copy, own, copy.position)) copy.issue = own;
    if (copy.issue != own || own == 0 || !options.ahead) continue;
    const int before = GroupBegin(ends, own - 1);
    if (before >= earliest && extend(copy, before, own)) copy.issue = before;
  }
}

}  // namespace

Result<bool> PrefetchCopies(Graph& graph, const PrefetchOptions& options, PassContext&) {
  WSI_ASSIGN_OR_RETURN(CopySchedule schedule, ReadCopySchedule(graph, options.rates));
  if (schedule.copies.empty()) return false;
  const uint64_t before = HashGraph(graph);
  if (options.mode == PrefetchMode::kGroup) {
    PlaceByGroup(options, schedule);
  } else {
    const bool is_timed = options.mode == PrefetchMode::kTimed;
    PlaceCopies(schedule.seconds, options.device_budget,
                is_timed ? CopyMode::kTimed : CopyMode::kDemand, schedule.live, schedule.copies);
  }
  WSI_RETURN_IF_ERROR(WriteCopySchedule(graph, schedule, options.mode == PrefetchMode::kGroup));
  graph.Compact();
  return HashGraph(graph) != before;
}

Result<PassFunction> MakePrefetchPass(const Attributes& options) {
  PassOptions given(options);
  PrefetchOptions parsed;
  parsed.device_budget = given.Size("device_budget", 0);
  parsed.mode = given.Choice<PrefetchMode>("mode",
                                           {{"demand", PrefetchMode::kDemand},
                                            {"group", PrefetchMode::kGroup},
                                            {"timed", PrefetchMode::kTimed}},
                                           PrefetchMode::kTimed);
  parsed.ahead = given.Bool("ahead", true);
  const std::string rates = given.String("rates", "cpu");
  WSI_RETURN_IF_ERROR(given.Finish());
  WSI_ASSIGN_OR_RETURN(parsed.rates, BuiltInRates(rates));
  return PassFunction([parsed](Graph& graph, PassContext& context) {
    return PrefetchCopies(graph, parsed, context);
  });
}

}  // namespace wsi
