#include "tests/plan/place_randomly.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"

namespace wsi {
namespace {

bool LiveTogether(const plan::Buffer& a, const plan::Buffer& b) {
  if (a.tier() != b.tier()) return false;
  if (a.program() == -1 || b.program() == -1) return true;
  return a.program() == b.program() && a.begin() < b.end() && b.begin() < a.end();
}

Bytes EndOf(const plan::Buffer& buffer) { return buffer.offset() + buffer.size(); }

void SetPeaks(plan::Plan& plan) {
  Bytes peaks[3] = {0, 0, 0};
  for (const plan::Buffer& buffer : plan.buffers()) {
    peaks[buffer.tier()] = std::max(peaks[buffer.tier()], EndOf(buffer));
  }
  plan.set_device_peak_bytes(peaks[plan::TIER_DEVICE]);
  plan.set_host_peak_bytes(peaks[plan::TIER_HOST]);
  plan.set_file_peak_bytes(peaks[plan::TIER_FILE]);
}

// A run of bytes that an instruction touches.
struct Access {
  plan::Tier tier;
  Bytes begin, end;
  bool writes;
};

std::vector<Access> AccessesOf(const plan::Plan& plan, const plan::Instruction& instruction) {
  std::vector<Access> result;
  const auto add = [&](int32_t b, bool writes) {
    const plan::Buffer& buffer = plan.buffers(b);
    result.push_back({buffer.tier(), buffer.offset(), EndOf(buffer), writes});
  };
  for (const int32_t v : instruction.launch().inputs()) add(plan.values(v).buffer(), false);
  for (const int32_t v : instruction.launch().outputs()) add(plan.values(v).buffer(), true);
  if (instruction.has_launch() && instruction.launch().workspace() >= 0) {
    add(instruction.launch().workspace(), true);
  }
  if (instruction.has_copy()) {
    add(instruction.copy().from(), false);
    add(instruction.copy().to(), true);
  }
  return result;
}

bool Conflict(const std::vector<Access>& a, const std::vector<Access>& b) {
  for (const Access& x : a) {
    for (const Access& y : b) {
      if (x.tier == y.tier && (x.writes || y.writes) && x.begin < y.end && y.begin < x.end) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void PlaceRandomly(plan::Plan& plan, int64_t alignment, std::mt19937_64& random) {
  std::vector<int> order(static_cast<size_t>(plan.buffers_size()));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<int> placed;
  for (const int b : order) {
    plan::Buffer& buffer = *plan.mutable_buffers(b);
    const Bytes step = buffer.tier() == plan::TIER_DEVICE ? kBufferAlignment : alignment;
    std::vector<Bytes> candidates = {0};
    for (const int other : placed) {
      if (LiveTogether(buffer, plan.buffers(other))) {
        candidates.push_back(AlignUp(EndOf(plan.buffers(other)), step));
      }
    }
    std::sort(candidates.begin(), candidates.end());
    for (const Bytes at : candidates) {
      buffer.set_offset(at);
      const bool taken = std::any_of(placed.begin(), placed.end(), [&](int other) {
        const plan::Buffer& o = plan.buffers(other);
        return LiveTogether(buffer, o) && at < EndOf(o) && o.offset() < EndOf(buffer);
      });
      if (!taken) break;
    }
    placed.push_back(b);
  }
  SetPeaks(plan);
}

void AddWaits(const plan::Plan& plan, plan::Program& program) {
  const int count = program.instructions_size();
  std::vector<std::vector<Access>> accesses;
  // before[i][j]: j has ended before i starts.
  std::vector<std::vector<bool>> before;
  for (int i = 0; i < count; ++i) {
    plan::Instruction& instruction = *program.mutable_instructions(i);
    accesses.push_back(AccessesOf(plan, instruction));
    std::vector<bool> ended(static_cast<size_t>(count));
    const auto follow = [&](int j) {
      for (int k = 0; k < j; ++k) {
        if (before[static_cast<size_t>(j)][static_cast<size_t>(k)])
          ended[static_cast<size_t>(k)] = true;
      }
      ended[static_cast<size_t>(j)] = true;
    };
    for (int j = i - 1; j >= 0; --j) {
      const plan::Instruction& other = program.instructions(j);
      if (ended[static_cast<size_t>(j)]) continue;
      if (other.lane() == instruction.lane() || other.has_barrier() || instruction.has_barrier()) {
        follow(j);
      } else if (Conflict(accesses[static_cast<size_t>(j)], accesses[static_cast<size_t>(i)])) {
        instruction.add_waits(j);
        follow(j);
      }
    }
    before.push_back(std::move(ended));
  }
}

plan::Plan WithoutSharing(plan::Plan plan) {
  Bytes ends[3] = {0, 0, 0};
  for (plan::Buffer& buffer : *plan.mutable_buffers()) {
    Bytes& end = ends[buffer.tier()];
    buffer.set_offset(end);
    end = AlignUp(end + buffer.size(), 4096);
  }
  SetPeaks(plan);
  return plan;
}

}  // namespace wsi
