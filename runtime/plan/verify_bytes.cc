// Who owns which bytes when: buffers that are live together, and instructions that
// run beside each other.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/plan/verify_parts.h"

namespace wsi {
namespace {

struct Placed {
  Bytes end = 0;
  int buffer = 0;
};
using Occupied = std::map<Bytes, Placed>;  // By offset.

// Adds a buffer to those that are live, or names the one it overlaps.
Status Occupy(const plan::Plan& plan, int b, Occupied& live) {
  const plan::Buffer& buffer = plan.buffers(b);
  if (buffer.size() == 0) return {};
  const Bytes end = buffer.offset() + buffer.size();
  const auto next = live.lower_bound(buffer.offset());
  int other = -1;
  if (next != live.end() && next->first < end) other = next->second.buffer;
  if (next != live.begin() && std::prev(next)->second.end > buffer.offset()) {
    other = std::prev(next)->second.buffer;
  }
  if (other >= 0) {
    const plan::Buffer& o = plan.buffers(other);
    return InvalidInput(
        fmt::format("buffers {} at [{}, {}) and {} at [{}, {}) overlap while both are live", other,
                    o.offset(), o.offset() + o.size(), b, buffer.offset(), end));
  }
  live.emplace_hint(next, buffer.offset(), Placed{end, b});
  return {};
}

// Sweeps the buffers of one program over its instructions. `live` holds the
// persistent ones of each tier, `slots` those that are written before the first.
Status SweepProgram(const plan::Plan& plan, const std::vector<int>& buffers,
                    const std::set<int>& slots, std::array<Occupied, 3> live) {
  struct Event {
    int64_t at;
    bool begins;  // At one instruction the old leave before the new come.
    int buffer;
  };
  std::vector<Event> events;
  for (const int b : buffers) {
    const int64_t begin = plan.buffers(b).begin();
    const int64_t end = std::max(plan.buffers(b).end(), slots.contains(b) ? begin + 1 : begin);
    if (begin == end) continue;
    events.push_back({begin, true, b});
    events.push_back({end, false, b});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.at, a.begins, a.buffer) < std::tie(b.at, b.begins, b.buffer);
  });
  for (const Event& event : events) {
    const plan::Buffer& buffer = plan.buffers(event.buffer);
    Occupied& tier = live[static_cast<size_t>(buffer.tier())];
    if (event.begins) {
      const Status status = Occupy(plan, event.buffer, tier);
      if (!status.ok()) return status.WithContext(fmt::format("instruction {}", event.at));
    } else if (buffer.size() > 0) {
      tier.erase(buffer.offset());
    }
  }
  return {};
}

// The latest instruction of each lane; -1: none.
using Clock = std::array<int, kLanes>;
constexpr Clock kNever = {-1, -1, -1, -1, -1, -1};

void Join(Clock& clock, const Clock& other) {
  for (size_t lane = 0; lane < kLanes; ++lane) clock[lane] = std::max(clock[lane], other[lane]);
}

// Who touched a run of bytes last.
struct Touched {
  Bytes end = 0;
  Clock write = kNever;
  Clock read = kNever;
};

class OrderVerifier {
 public:
  OrderVerifier(const plan::Plan& plan, const plan::Program& program)
      : plan_(plan), program_(program) {
    tiers_[plan::TIER_DEVICE][0].end = plan.device_peak_bytes();
    tiers_[plan::TIER_HOST][0].end = plan.host_peak_bytes();
    tiers_[plan::TIER_FILE][0].end = plan.file_peak_bytes();
    done_.reserve(static_cast<size_t>(program.instructions_size()));
  }

  Status Verify() {
    for (int i = 0; i < program_.instructions_size(); ++i) {
      Advance(i);
      const std::string problem = Touch(i);
      if (!problem.empty()) return InstructionError(program_, i, problem);
    }
    return {};
  }

 private:
  // Sets what is known to have ended before instruction i starts.
  void Advance(int i) {
    const plan::Instruction& instruction = program_.instructions(i);
    const auto lane = static_cast<size_t>(instruction.lane());
    before_ = lanes_[lane];
    for (const int32_t wait : instruction.waits()) Join(before_, done_[static_cast<size_t>(wait)]);
    if (instruction.has_barrier()) {
      for (const Clock& other : lanes_) Join(before_, other);
    }
    Clock after = before_;
    after[lane] = i;
    done_.push_back(after);
    lanes_[lane] = after;
    if (instruction.has_barrier()) lanes_.fill(after);
  }

  std::string Touch(int i) {
    const plan::Instruction& instruction = program_.instructions(i);
    const auto value = [&](int32_t v, bool writes) {
      const plan::Value& operand = plan_.values(v);
      Bytes bytes = DTypeBytes(static_cast<DType>(operand.dtype()));
      for (const int64_t size : operand.dims()) bytes *= size;
      return TouchBytes(i, operand.buffer(), bytes, writes);
    };
    bool fine = true;
    for (const int32_t v : instruction.launch().inputs())
      fine = fine && (v == -1 || value(v, false));
    for (const int32_t v : instruction.launch().outputs())
      fine = fine && (v == -1 || value(v, true));
    for (const int32_t v : instruction.collective().values()) fine = fine && value(v, true);
    if (instruction.has_launch() && instruction.launch().workspace() != -1) {
      const int32_t w = instruction.launch().workspace();
      fine = fine && TouchBytes(i, w, plan_.buffers(w).size(), true);
    }
    if (instruction.has_copy()) {
      const plan::Copy& copy = instruction.copy();
      const Bytes bytes = plan_.buffers(copy.from()).size();
      fine = fine && TouchBytes(i, copy.from(), bytes, false);
      fine = fine && TouchBytes(i, copy.to(), bytes, true);
    }
    return fine ? std::string() : problem_;
  }

  // Checks and records one access; false after setting problem_.
  bool TouchBytes(int i, int32_t b, Bytes bytes, bool writes) {
    if (bytes == 0) return true;
    const plan::Buffer& buffer = plan_.buffers(b);
    const auto lane = static_cast<size_t>(program_.instructions(i).lane());
    std::map<Bytes, Touched>& tier = tiers_[static_cast<size_t>(buffer.tier())];
    const auto first = Split(tier, buffer.offset());
    const auto last = Split(tier, buffer.offset() + bytes);
    for (auto run = first; run != last; ++run) {
      for (size_t other = 0; other < kLanes; ++other) {
        int rival = run->second.write[other];
        if (writes) rival = std::max(rival, run->second.read[other]);
        if (other == lane || rival <= before_[other]) continue;
        problem_ =
            fmt::format("{} buffer {} without waiting for instruction {} '{}'",
                        writes ? "writes" : "reads", b, rival, program_.instructions(rival).name());
        return false;
      }
      run->second.read[lane] = i;
      if (--visits_left_ < 0) {
        problem_ = "memory too fragmented to verify";
        return false;
      }
    }
    if (writes) {  // Whoever is ordered after this is ordered after all before it.
      tier.erase(std::next(first), last);
      first->second = {buffer.offset() + bytes, kNever, kNever};
      first->second.write[lane] = i;
    }
    return true;
  }

  // The run that begins at `at`, after cutting the one that contains it.
  static std::map<Bytes, Touched>::iterator Split(std::map<Bytes, Touched>& tier, Bytes at) {
    const auto next = tier.lower_bound(at);
    if (next != tier.end() && next->first == at) return next;
    const auto run = std::prev(next);
    if (run->second.end <= at) return next;  // The arena's end.
    Touched rest = run->second;
    run->second.end = at;
    return tier.emplace_hint(next, at, rest);
  }

  const plan::Plan& plan_;
  const plan::Program& program_;
  std::array<std::map<Bytes, Touched>, 3> tiers_;  // Runs that tile each arena.
  std::array<Clock, kLanes> lanes_ = {kNever, kNever, kNever, kNever, kNever, kNever};
  std::vector<Clock> done_;  // By instruction: what has ended once it has.
  Clock before_ = kNever;
  int64_t visits_left_ = int64_t{1} << 26;
  std::string problem_;
};

// Buffers that inputs, target and scalars are written to.
std::set<int> SlotBuffers(const plan::Plan& plan, const plan::Program& program) {
  std::set<int> buffers;
  for (const int32_t v : program.inputs()) buffers.insert(plan.values(v).buffer());
  for (const int32_t v : program.scalars()) buffers.insert(plan.values(v).buffer());
  if (program.target() != -1) buffers.insert(plan.values(program.target()).buffer());
  return buffers;
}

}  // namespace

Status VerifyPlacement(const plan::Plan& plan) {
  std::array<Occupied, 3> persistent;
  std::vector<std::vector<int>> of_program(static_cast<size_t>(plan.programs_size()));
  for (int b = 0; b < plan.buffers_size(); ++b) {
    const plan::Buffer& buffer = plan.buffers(b);
    if (buffer.program() >= 0) {
      of_program[static_cast<size_t>(buffer.program())].push_back(b);
    } else {
      WSI_RETURN_IF_ERROR(Occupy(plan, b, persistent[static_cast<size_t>(buffer.tier())]));
    }
  }
  for (int p = 0; p < plan.programs_size(); ++p) {
    const Status status = SweepProgram(plan, of_program[static_cast<size_t>(p)],
                                       SlotBuffers(plan, plan.programs(p)), persistent);
    if (!status.ok()) {
      return status.WithContext(fmt::format("program '{}'", plan.programs(p).name()));
    }
  }
  return {};
}

Status VerifyOrder(const plan::Plan& plan, const plan::Program& program) {
  bool one_lane = true;  // Which is in order by itself.
  for (const plan::Instruction& instruction : program.instructions()) {
    one_lane = one_lane && instruction.lane() == program.instructions(0).lane();
  }
  return one_lane ? Status() : OrderVerifier(plan, program).Verify();
}

}  // namespace wsi
