#include "runtime/timing/trace.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "runtime/plan/plan_types.h"
#include "runtime/timing/memory_timeline.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMicroseconds = 1e6;

class TraceWriter {
 public:
  TraceWriter(const plan::Plan& plan, int program, std::span<const Span> spans, TraceKind kind)
      : plan_(plan),
        number_(program),
        program_(plan.programs(program)),
        spans_(spans),
        process_(static_cast<int>(kind)) {
    AddMetadata("process_name", 0,
                {{"name", kind == TraceKind::kPredicted ? "predicted" : "measured"}});
  }

  std::string Write() {
    AddLanes();
    for (int i = 0; i < program_.instructions_size(); ++i) AddInstruction(i);
    AddCounters();
    const Json trace = {{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events_)}};
    return trace.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  const Span& SpanOf(int i) const { return spans_[static_cast<size_t>(i)]; }

  void AddMetadata(const char* name, int thread, Json arguments) {
    events_.push_back({{"name", name},
                       {"ph", "M"},
                       {"pid", process_},
                       {"tid", thread},
                       {"args", std::move(arguments)}});
  }

  void AddLanes() {
    std::array<bool, plan::Lane_ARRAYSIZE> used = {};
    for (const plan::Instruction& instruction : program_.instructions()) {
      used[static_cast<size_t>(instruction.lane())] = true;
    }
    for (int lane = 0; lane < plan::Lane_ARRAYSIZE; ++lane) {
      if (!used[static_cast<size_t>(lane)]) continue;
      AddMetadata("thread_name", lane, {{"name", LaneName(static_cast<plan::Lane>(lane))}});
      AddMetadata("thread_sort_index", lane, {{"sort_index", lane}});
    }
  }

  Json Arguments(int i) const {
    const plan::Instruction& instruction = program_.instructions(i);
    Json arguments = {{"instruction", i}, {"op", KindName(instruction)}};
    if (instruction.has_launch()) {
      arguments["flops"] = instruction.launch().flops();
      arguments["bytes"] = instruction.launch().bytes();
    } else if (instruction.has_copy()) {
      arguments["bytes"] = plan_.buffers(instruction.copy().to()).size();
    }
    return arguments;
  }

  void AddInstruction(int i) {
    const plan::Instruction& instruction = program_.instructions(i);
    const Span& span = SpanOf(i);
    if (span.start < 0 || instruction.has_barrier()) return;
    events_.push_back({{"name", instruction.name()},
                       {"cat", PhaseName(instruction.phase())},
                       {"ph", "X"},
                       {"ts", span.start * kMicroseconds},
                       {"dur", (span.end - span.start) * kMicroseconds},
                       {"pid", process_},
                       {"tid", static_cast<int>(instruction.lane())},
                       {"args", Arguments(i)}});
  }

  // Live bytes go by the order of the instructions: each changes them when all before it
  // have ended.
  void AddCounters() {
    const MemoryTimeline memory = ComputeMemoryTimeline(plan_, number_);
    double now = 0;
    for (int i = 0; i < program_.instructions_size(); ++i) {
      Json bytes = Json::object();
      for (size_t tier = 0; tier < memory.tiers.size(); ++tier) {
        if (memory.tiers[tier].arena == 0) continue;
        bytes[std::string(TierName(static_cast<plan::Tier>(tier)))] =
            memory.tiers[tier].live[static_cast<size_t>(i)];
      }
      events_.push_back({{"name", "live bytes"},
                         {"ph", "C"},
                         {"ts", now * kMicroseconds},
                         {"pid", process_},
                         {"args", std::move(bytes)}});
      now = std::max(now, SpanOf(i).end);
    }
  }

  const plan::Plan& plan_;
  int number_;
  const plan::Program& program_;
  std::span<const Span> spans_;
  int process_;
  Json events_ = Json::array();
};

}  // namespace

std::string TraceJson(const plan::Plan& plan, int program, std::span<const Span> spans,
                      TraceKind kind) {
  WSI_CHECK(spans.size() == static_cast<size_t>(plan.programs(program).instructions_size()));
  return TraceWriter(plan, program, spans, kind).Write();
}

}  // namespace wsi
