#include "passes/group.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "passes/copy_schedule.h"
#include "passes/pass_options.h"
#include "runtime/timing/rates.h"

namespace wsi {
namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();

// Groups [begin, end) of positions. Tables are by begin and end - begin - 1.
class GroupPlanner {
 public:
  GroupPlanner(const CopySchedule& schedule, const GroupOptions& options)
      : schedule_(schedule),
        options_(options),
        count_(static_cast<int>(schedule.ops.size())),
        in_bytes_(schedule.ops.size() + 1, 0),
        in_seconds_(schedule.ops.size() + 1, 0),
        out_bytes_(schedule.ops.size() + 1, 0),
        out_seconds_(schedule.ops.size() + 1, 0) {
    for (const TimedCopy& copy : schedule.copies) {
      const auto at = static_cast<size_t>(copy.is_in ? copy.position : copy.last);
      (copy.is_in ? in_bytes_ : out_bytes_)[at] += copy.bytes;
      (copy.is_in ? in_seconds_ : out_seconds_)[at] += copy.seconds;
    }
  }

  std::vector<int> Plan();

 private:
  struct Span {
    Bytes working_set = 0;  // With its copies in at its start, and out at its end.
    Bytes in_bytes = 0;
    double in_seconds = 0;
    double out_seconds = 0;
    double compute = 0;
    double best = kImpossible;  // Of this span and all behind it.
    int next_length = 0;        // Of the span behind it; 0: it is the last.
  };
  void Measure();
  void Choose(int begin, int length);
  int Longest(int begin) const { return std::min(options_.longest, count_ - begin); }
  Span& span(int begin, int length) {
    return spans_[static_cast<size_t>(begin) * static_cast<size_t>(options_.longest) +
                  static_cast<size_t>(length) - 1];
  }

  const CopySchedule& schedule_;
  const GroupOptions& options_;
  int count_;
  std::vector<Bytes> in_bytes_;  // By position that needs them.
  std::vector<double> in_seconds_;
  std::vector<Bytes> out_bytes_;  // By position that uses them last.
  std::vector<double> out_seconds_;
  std::vector<Span> spans_;
};

void GroupPlanner::Measure() {
  spans_.resize(static_cast<size_t>(count_) * static_cast<size_t>(options_.longest));
  for (int begin = 0; begin < count_; ++begin) {
    Span now;
    std::vector<Bytes> needed;  // By operator of the span.
    Bytes left = 0;             // Of copies out behind operators of the span.
    for (int length = 1; length <= Longest(begin); ++length) {
      const auto at = static_cast<size_t>(begin + length - 1);
      // What the new operator needs is there from the first one on.
      for (Bytes& bytes : needed) bytes += in_bytes_[at];
      needed.push_back(schedule_.live[at] + left);
      left += out_bytes_[at];
      now.in_bytes += in_bytes_[at];
      now.in_seconds += in_seconds_[at];
      now.out_seconds += out_seconds_[at];
      now.compute += schedule_.seconds[at];
      now.working_set = *std::max_element(needed.begin(), needed.end());
      span(begin, length) = now;
    }
  }
}

void GroupPlanner::Choose(int begin, int length) {
  Span& own = span(begin, length);
  const Bytes budget = options_.device_budget;
  // A single operator must run whatever it needs.
  if (budget > 0 && own.working_set > budget && length > 1) return;
  const int next = begin + length;
  if (next == count_) {
    own.best = std::max(own.compute, own.out_seconds) + options_.barrier_seconds;
    return;
  }
  for (int next_length = 1; next_length <= Longest(next); ++next_length) {
    const Span& behind = span(next, next_length);
    if (behind.best == kImpossible) continue;
    const bool fits = budget == 0 || own.working_set + behind.in_bytes <= budget;
    const double seconds = fits ? std::max({own.compute, behind.in_seconds, own.out_seconds})
                                : std::max(own.compute, own.out_seconds) + behind.in_seconds;
    const double sum = seconds + options_.barrier_seconds + behind.best;
    if (sum >= own.best) continue;
    own.best = sum;
    own.next_length = next_length;
  }
}

std::vector<int> GroupPlanner::Plan() {
  Measure();
  for (int begin = count_; begin-- > 0;) {
    for (int length = 1; length <= Longest(begin); ++length) Choose(begin, length);
  }
  int length = 1;
  double best = kImpossible;
  for (int first = 1; first <= Longest(0); ++first) {
    const double sum = span(0, first).best + span(0, first).in_seconds;
    if (sum >= best) continue;
    best = sum;
    length = first;
  }
  std::vector<int> ends;
  for (int begin = 0; length > 0;) {
    const int next_length = span(begin, length).next_length;
    begin += length;
    if (next_length > 0) ends.push_back(begin);
    length = next_length;
  }
  return ends;
}

// Where the memory touched since the last end would exceed a quarter of the budget.
std::vector<int> CutAtQuarters(const Graph& graph, const CopySchedule& schedule, Bytes budget) {
  std::vector<int> ends;
  std::unordered_set<int32_t> touched;
  Bytes bytes = 0;
  for (size_t p = 0; p < schedule.ops.size(); ++p) {
    const Node& node = graph.node(schedule.ops[p]);
    Bytes added = 0;
    std::vector<int32_t> fresh;
    for (const std::vector<ValueId>* list : {&node.inputs, &node.outputs}) {
      for (const ValueId id : *list) {
        if (!id.valid() || touched.contains(id.index)) continue;
        fresh.push_back(id.index);
        added += graph.value(id).shape.ByteCount(graph.value(id).dtype);
      }
    }
    if (bytes > 0 && bytes + added > budget / 4) {
      ends.push_back(static_cast<int>(p));
      touched.clear();
      bytes = 0;
    }
    touched.insert(fresh.begin(), fresh.end());
    bytes += added;
  }
  return ends;
}

}  // namespace

Result<bool> GroupOperators(Graph& graph, const GroupOptions& options, PassContext&) {
  if (options.rule == GroupRule::kNone || graph.order().empty()) return false;
  if (options.longest < 1) return UsageError("longest is below 1");
  WSI_ASSIGN_OR_RETURN(CopySchedule schedule, ReadCopySchedule(graph, options.rates));
  const uint64_t before = HashGraph(graph);
  for (TimedCopy& copy : schedule.copies) {  // They stay where they are.
    copy.issue = copy.is_in ? copy.position : copy.last + 1;
    copy.hold = copy.issue;
  }
  schedule.group_ends.clear();
  if (options.rule == GroupRule::kFootprint) {
    schedule.group_ends = GroupPlanner(schedule, options).Plan();
  } else if (options.device_budget > 0) {
    schedule.group_ends = CutAtQuarters(graph, schedule, options.device_budget);
  }
  WSI_RETURN_IF_ERROR(WriteCopySchedule(graph, schedule, false));
  graph.Compact();
  return HashGraph(graph) != before;
}

Result<PassFunction> MakeGroupPass(const Attributes& options) {
  PassOptions given(options);
  GroupOptions parsed;
  parsed.rule = given.Choice<GroupRule>("rule",
                                        {{"none", GroupRule::kNone},
                                         {"footprint", GroupRule::kFootprint},
                                         {"critical-path", GroupRule::kCriticalPath}},
                                        GroupRule::kFootprint);
  parsed.device_budget = given.Size("device_budget", 0);
  const int64_t longest = given.Int("longest", parsed.longest);
  const std::string rates = given.String("rates", "cpu");
  WSI_RETURN_IF_ERROR(given.Finish());
  if (longest < 1 || longest > 1000) return UsageError("option 'longest' wants 1 to 1000");
  parsed.longest = static_cast<int>(longest);
  WSI_ASSIGN_OR_RETURN(parsed.rates, BuiltInRates(rates));
  return PassFunction([parsed](Graph& graph, PassContext& context) {
    return GroupOperators(graph, parsed, context);
  });
}

}  // namespace wsi
