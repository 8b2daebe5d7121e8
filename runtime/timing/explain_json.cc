#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/plan/plan_types.h"
#include "runtime/timing/explain.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

Json LanesJson(const Timeline& timeline) {
  Json lanes = Json::object();
  for (size_t lane = 0; lane < timeline.lanes.size(); ++lane) {
    const LaneTotals& totals = timeline.lanes[lane];
    if (totals.instructions == 0) continue;
    lanes[std::string(LaneName(static_cast<plan::Lane>(lane)))] = {
        {"instructions", totals.instructions},
        {"busy_ms", totals.busy_seconds * 1e3},
        {"copied_bytes", totals.copied_bytes}};
  }
  return lanes;
}

Json TiersJson(const MemoryTimeline& memory) {
  Json tiers = Json::object();
  for (size_t tier = 0; tier < memory.tiers.size(); ++tier) {
    const TierTimeline& t = memory.tiers[tier];
    tiers[std::string(TierName(static_cast<plan::Tier>(tier)))] = {
        {"arena_bytes", t.arena},
        {"peak_bytes", t.peak},
        {"peak_instruction", t.peak_at},
        {"persistent_bytes", t.persistent},
        {"live_bytes", t.live}};
  }
  return tiers;
}

Json GroupsJson(const Explanation& e) {
  Json groups = Json::array();
  for (const ProgramGroup& group : e.groups) {
    groups.push_back({{"begin", group.begin},
                      {"end", group.end},
                      {"ms", group.seconds * 1e3},
                      {"compute_ms", group.compute_seconds * 1e3},
                      {"copied_bytes", group.copied_bytes},
                      {"device_peak_bytes", group.device_peak}});
  }
  return groups;
}

Json BuffersJson(const plan::Plan& plan, const Explanation& e, int largest) {
  Json buffers = Json::array();
  const auto count = std::min(static_cast<size_t>(largest), e.memory.buffers.size());
  for (size_t k = 0; k < count; ++k) {
    const BufferLife& life = e.memory.buffers[k];
    const plan::Buffer& buffer = plan.buffers(life.buffer);
    buffers.push_back({{"name", life.name},
                       {"use", BufferUseName(life.use)},
                       {"tier", TierName(buffer.tier())},
                       {"bytes", buffer.size()},
                       {"offset", buffer.offset()},
                       {"persistent", buffer.program() == -1},
                       {"begin", life.begin},
                       {"end", life.end}});
  }
  return buffers;
}

}  // namespace

std::string ExplanationJson(const plan::Plan& plan, const plan::Rates& rates, const Explanation& e,
                            int largest) {
  const Timeline& t = e.timeline;
  const Json json = {{"program", plan.programs(e.program).name()},
                     {"instructions", t.spans.size()},
                     {"rates", rates.device()},
                     {"predicted_step_ms", t.step_seconds * 1e3},
                     {"compute_ms", t.compute_seconds() * 1e3},
                     {"stalled_ms", t.stalled_seconds() * 1e3},
                     {"stalled_share", t.stalled_share()},
                     {"copied_bytes_per_step", t.copied_bytes()},
                     {"lanes", LanesJson(t)},
                     {"tiers", TiersJson(e.memory)},
                     {"groups", GroupsJson(e)},
                     {"largest_buffers", BuffersJson(plan, e, largest)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wsi
