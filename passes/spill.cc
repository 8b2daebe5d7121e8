#include "passes/spill.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "compiler/ops/op_def.h"
#include "passes/liveness.h"
#include "passes/node_seconds.h"
#include "passes/order_builder.h"
#include "passes/pass_options.h"
#include "runtime/timing/launch_time.h"
#include "runtime/timing/rates.h"

namespace wsi {
namespace {

// A host value between its copy out and its first copy in, by step.
struct Candidate {
  ValueId value;
  Bytes bytes = 0;   // Of its room.
  int64_t out = 0;   // The copy that makes it.
  int64_t in = 0;    // The first copy that reads it.
  int64_t last = 0;  // The last one.
  bool is_spilled = false;
  bool is_hasty = false;  // Written and read right at the copies, with everybody waiting.
  int64_t written = 0;    // The host room is free from this step,
  int64_t read = 0;       // and taken again from this one.
};

class Spiller {
 public:
  Spiller(Graph& graph, const SpillOptions& options) : graph_(graph), options_(options) {}

  Result<bool> Run();

 private:
  void FindTimes();
  void FindCandidates();
  void PlaceFileCopies();
  std::vector<Bytes> HostBytes() const;
  bool SpillAt(int64_t step);
  Status Write();
  Status TooSmall(Bytes needed) const;

  Graph& graph_;
  const SpillOptions& options_;
  std::vector<double> starts_;      // By step where nothing stalls, and of the end.
  std::vector<Bytes> host_demand_;  // By step, without spills.
  Bytes homes_ = 0;
  std::vector<Candidate> candidates_;  // In the order of their copies out.
};

void Spiller::FindTimes() {
  starts_.push_back(0);
  for (const NodeId id : graph_.order()) {
    starts_.push_back(starts_.back() + NodeSeconds(graph_, id, options_.rates));
  }
}

void Spiller::FindCandidates() {
  std::vector<int> at(static_cast<size_t>(graph_.value_count()), -1);
  for (size_t s = 0; s < graph_.order().size(); ++s) {
    const Node& node = graph_.node(graph_.order()[s]);
    if (FindOp(node.op)->lowers_to != LowersTo::kCopy) continue;
    const auto step = static_cast<int64_t>(s);
    const ValueId to = node.outputs[0];
    const Value& made = graph_.value(to);
    if (made.tier == Tier::kHost) {
      const Bytes bytes = made.shape.ByteCount(made.dtype);
      at[static_cast<size_t>(to.index)] = static_cast<int>(candidates_.size());
      candidates_.push_back({.value = to,
                             .bytes = AlignUp(bytes, TierAlignment(Tier::kHost)),
                             .out = step,
                             .in = -1,
                             .last = -1});
    } else if (const int c = at[static_cast<size_t>(node.inputs[0].index)]; c >= 0) {
      Candidate& candidate = candidates_[static_cast<size_t>(c)];
      if (candidate.in < 0) candidate.in = step;
      candidate.last = step;
    }
  }
  // What goes home stays there.
  std::erase_if(candidates_, [&](const Candidate& c) {
    const bool is_home =
        std::any_of(graph_.updates.begin(), graph_.updates.end(),
                    [&](const StateUpdate& update) { return update.value == c.value; });
    return is_home || c.in < 0;
  });
}

// Writes in the order of the copies out, reads in that of the copies in, each lane one
// after the other.
void Spiller::PlaceFileCopies() {
  const auto step_from = [&](double seconds) {
    return std::lower_bound(starts_.begin(), starts_.end(), seconds) - starts_.begin();
  };
  double lane_free = 0;
  for (Candidate& c : candidates_) {
    if (!c.is_spilled) continue;
    c.written = c.out + 2;  // The write stands right behind the copy.
    const auto out = static_cast<size_t>(c.out);
    const double begin =
        std::max(lane_free, starts_[out] + CopySeconds(options_.rates, plan::LANE_OUT, c.bytes));
    lane_free = begin + CopySeconds(options_.rates, plan::LANE_WRITE, c.bytes);
    if (!c.is_hasty) c.written = std::max<int64_t>(c.written, step_from(lane_free));
  }
  std::vector<Candidate*> by_need;
  for (Candidate& c : candidates_) {
    if (c.is_spilled) by_need.push_back(&c);
  }
  std::stable_sort(by_need.begin(), by_need.end(),
                   [](const Candidate* a, const Candidate* b) { return a->in > b->in; });
  double next = starts_.back();
  for (Candidate* c : by_need) {
    next = std::min(next, starts_[static_cast<size_t>(c->in)]) -
           CopySeconds(options_.rates, plan::LANE_READ, c->bytes);
    c->read = c->in;
    if (!c->is_hasty) c->read = std::min<int64_t>(c->in, std::max<int64_t>(step_from(next) - 1, 0));
    // Between the two there must be a time in which the room is free.
    if (c->read < c->written) {
      c->written = c->out + 2;
      c->read = std::max(c->read, std::min(c->written, c->in));
    }
  }
}

std::vector<Bytes> Spiller::HostBytes() const {
  std::vector<Bytes> change(host_demand_.size() + 1, 0);
  for (const Candidate& c : candidates_) {
    if (!c.is_spilled || c.read <= c.written) continue;
    change[static_cast<size_t>(c.written)] -= c.bytes;
    change[static_cast<size_t>(c.read)] += c.bytes;
  }
  std::vector<Bytes> bytes = host_demand_;
  Bytes sum = homes_;
  for (size_t s = 0; s < bytes.size(); ++s) {
    sum += change[s];
    bytes[s] += sum;
  }
  return bytes;
}

// Makes room at `step`: spills the value that would be away longest, or hurries one that is
// on its way. False where there is neither.
bool Spiller::SpillAt(int64_t step) {
  Candidate* best = nullptr;
  for (Candidate& c : candidates_) {
    if (c.is_spilled || step < c.out + 2 || step >= c.in) continue;
    if (best == nullptr || (c.in - c.out) > (best->in - best->out)) best = &c;
  }
  if (best != nullptr) {
    best->is_spilled = true;
    return true;
  }
  for (Candidate& c : candidates_) {
    const bool is_there = step < c.written || step >= c.read;
    if (!c.is_spilled || c.is_hasty || step < c.out + 2 || step >= c.in || !is_there) continue;
    c.is_hasty = true;
    return true;
  }
  return false;
}

Status Spiller::TooSmall(Bytes needed) const {
  return ResourceError(fmt::format(
      "does not fit: the host needs {} beside the file tier, limit {}; try --host-mem {}B",
      FormatBytes(needed), FormatBytes(options_.host_budget), needed));
}

Status Spiller::Write() {
  const size_t steps = graph_.order().size();
  std::vector<std::vector<Candidate*>> written(steps + 1);
  std::vector<std::vector<Candidate*>> read(steps + 1);
  std::vector<Candidate*> made(steps, nullptr);
  for (Candidate& c : candidates_) {
    if (!c.is_spilled || c.read <= c.written) continue;
    made[static_cast<size_t>(c.out)] = &c;
    written[static_cast<size_t>(c.written)].push_back(&c);
    read[static_cast<size_t>(c.read)].push_back(&c);
  }
  OrderBuilder order(graph_);
  const auto copy = [&](ValueId from, Tier to, std::string_view suffix,
                        Phase phase) -> Result<ValueId> {
    const std::string name = graph_.value(from).name + std::string(suffix);
    WSI_ASSIGN_OR_RETURN(const ValueId made_value,
                         order.Add(MakeNode("Copy", name, {from}, {}, phase), name));
    graph_.value(made_value).tier = to;
    return made_value;
  };
  std::vector<std::pair<ValueId, ValueId>> renamed;  // Host value, and where it is read back.
  std::vector<std::pair<Candidate*, ValueId>> files;
  for (size_t s = 0; s <= steps; ++s) {
    for (Candidate* c : written[s]) {
      if (c->written <= c->out + 2) continue;
      const std::string name = graph_.value(c->value).name + ".hold";
      const Phase phase = graph_.node(graph_.order()[std::min(s, steps - 1)]).phase;
      WSI_RETURN_IF_ERROR(
          order.Add(MakeNode("Hold", name, {c->value}, {}, phase), std::span<const std::string>{})
              .status());
    }
    for (Candidate* c : read[s]) {
      const auto file = std::find_if(files.begin(), files.end(),
                                     [&](const auto& entry) { return entry.first == c; });
      WSI_CHECK(file != files.end());
      const Phase phase = graph_.node(graph_.order()[static_cast<size_t>(c->in)]).phase;
      WSI_ASSIGN_OR_RETURN(const ValueId back, copy(file->second, Tier::kHost, ".back", phase));
      renamed.emplace_back(c->value, back);
    }
    if (s == steps) break;
    const NodeId id = order.old_order()[s];
    Node& node = graph_.node(id);
    if (FindOp(node.op)->lowers_to == LowersTo::kCopy) {
      for (const auto& [from, to] : renamed) {
        if (node.inputs[0] == from) node.inputs[0] = to;
      }
    }
    order.Keep(id);
    if (made[s] != nullptr) {
      WSI_ASSIGN_OR_RETURN(const ValueId file,
                           copy(made[s]->value, Tier::kFile, ".file", graph_.node(id).phase));
      files.emplace_back(made[s], file);
    }
  }
  order.Finish();
  return {};
}

Result<bool> Spiller::Run() {
  WSI_ASSIGN_OR_RETURN(const Liveness liveness, ComputeLiveness(graph_));
  host_demand_ = LiveBytesByStep(graph_, liveness, Tier::kHost);
  for (const StorageClass& storage : liveness.classes) {
    if (!storage.persistent.valid() || storage.tier != Tier::kHost) continue;
    WSI_ASSIGN_OR_RETURN(homes_,
                         CheckedAdd(homes_, AlignUp(storage.size, TierAlignment(Tier::kHost))));
  }
  FindTimes();
  FindCandidates();
  while (true) {
    const std::vector<Bytes> bytes = HostBytes();
    const auto peak = std::max_element(bytes.begin(), bytes.end());
    if (*peak <= options_.host_budget) break;
    if (!SpillAt(peak - bytes.begin())) return TooSmall(*peak);
    PlaceFileCopies();
  }
  const bool any = std::any_of(candidates_.begin(), candidates_.end(), [](const Candidate& c) {
    return c.is_spilled && c.read > c.written;
  });
  if (any) WSI_RETURN_IF_ERROR(Write());
  return any;
}

}  // namespace

Result<bool> SpillToFile(Graph& graph, const SpillOptions& options, PassContext&) {
  if (options.host_budget == 0 || options.file_budget == 0) return false;
  WSI_ASSIGN_OR_RETURN(const bool changed, Spiller(graph, options).Run());
  graph.Compact();
  return changed;
}

Result<PassFunction> MakeSpillPass(const Attributes& options) {
  PassOptions given(options);
  SpillOptions parsed;
  parsed.host_budget = given.Size("host_budget", 0);
  parsed.file_budget = given.Size("file_budget", 0);
  const std::string rates = given.String("rates", "cpu");
  WSI_RETURN_IF_ERROR(given.Finish());
  WSI_ASSIGN_OR_RETURN(parsed.rates, BuiltInRates(rates));
  return PassFunction(
      [parsed](Graph& graph, PassContext& context) { return SpillToFile(graph, parsed, context); });
}

}  // namespace wsi
