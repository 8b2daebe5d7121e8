// What each instruction names: operands in range and in the right tier, lanes, waits.
#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "runtime/plan/plan_types.h"
#include "runtime/plan/verify_parts.h"

namespace wsi {
namespace {

constexpr int kMaxOperands = 1 << 16;

// The lane of copies from one tier to another; none where no copy goes directly.
std::optional<plan::Lane> LaneOf(plan::Tier from, plan::Tier to) {
  if (from == plan::TIER_HOST && to == plan::TIER_DEVICE) return plan::LANE_IN;
  if (from == plan::TIER_DEVICE && to == plan::TIER_HOST) return plan::LANE_OUT;
  if (from == plan::TIER_FILE && to == plan::TIER_HOST) return plan::LANE_READ;
  if (from == plan::TIER_HOST && to == plan::TIER_FILE) return plan::LANE_WRITE;
  return std::nullopt;
}

class InstructionVerifier {
 public:
  InstructionVerifier(const plan::Plan& plan, int index) : plan_(plan), index_(index) {}

  Status Verify(const plan::Instruction& instruction, int i) const {
    if (!plan::Lane_IsValid(instruction.lane()) || !plan::Phase_IsValid(instruction.phase())) {
      return InvalidInput("unknown lane or phase");
    }
    if (instruction.waits_size() > kMaxOperands) return InvalidInput("too many waits");
    for (const int32_t wait : instruction.waits()) {
      if (!InRange(wait, i)) {
        return InvalidInput(fmt::format("waits for instruction {}, which is not before it", wait));
      }
    }
    switch (instruction.kind_case()) {
      case plan::Instruction::kLaunch: return VerifyLaunch(instruction);
      case plan::Instruction::kCopy: return VerifyCopy(instruction);
      case plan::Instruction::kCollective:
        for (const int32_t v : instruction.collective().values()) {
          if (!OnDevice(v)) return InvalidInput(fmt::format("operand: value {}", v));
        }
        return {};
      case plan::Instruction::kBarrier: return {};
      case plan::Instruction::KIND_NOT_SET: break;
    }
    return InvalidInput("neither launch, copy, collective nor barrier");
  }

 private:
  // Only copies touch the other tiers.
  bool OnDevice(int32_t value) const {
    return ValueBelongs(plan_, value, index_) &&
           plan_.buffers(plan_.values(value).buffer()).tier() == plan::TIER_DEVICE;
  }

  Status VerifyLaunch(const plan::Instruction& instruction) const {
    const plan::Launch& launch = instruction.launch();
    if (instruction.lane() != plan::LANE_COMPUTE) {
      return InvalidInput("a launch outside the compute lane");
    }
    if (launch.op().empty()) return InvalidInput("no operator");
    if (launch.inputs_size() > kMaxOperands || launch.outputs_size() > kMaxOperands) {
      return InvalidInput("too many operands");
    }
    for (const int32_t v : launch.inputs()) {
      if (v != -1 && !OnDevice(v)) return InvalidInput(fmt::format("input: value {}", v));
    }
    std::set<int32_t> outputs;
    for (const int32_t v : launch.outputs()) {
      if (v == -1) continue;
      if (!OnDevice(v)) return InvalidInput(fmt::format("output: value {}", v));
      if (!outputs.insert(plan_.values(v).buffer()).second) {
        return InvalidInput("two outputs share a buffer");
      }
      const plan::Role role = plan_.values(v).role();
      if (role == plan::ROLE_CONSTANT) return InvalidInput("writes a constant");
    }
    const int32_t w = launch.workspace();
    if (w != -1 &&
        (!BufferBelongs(plan_, w, index_) || plan_.buffers(w).tier() != plan::TIER_DEVICE)) {
      return InvalidInput(fmt::format("workspace: buffer {}", w));
    }
    std::set<std::string_view> names;
    for (const plan::Attribute& a : launch.attributes()) {
      if (a.value_case() == plan::Attribute::VALUE_NOT_SET || !names.insert(a.name()).second) {
        return InvalidInput(fmt::format("attribute '{}' has no value, or two", a.name()));
      }
    }
    return {};
  }

  Status VerifyCopy(const plan::Instruction& instruction) const {
    const plan::Copy& copy = instruction.copy();
    if (!BufferBelongs(plan_, copy.from(), index_) || !BufferBelongs(plan_, copy.to(), index_)) {
      return InvalidInput(fmt::format("copies buffer {} to {}", copy.from(), copy.to()));
    }
    const plan::Buffer& from = plan_.buffers(copy.from());
    const plan::Buffer& to = plan_.buffers(copy.to());
    const std::optional<plan::Lane> lane = LaneOf(from.tier(), to.tier());
    if (!lane) return InvalidInput("copies between tiers that are not neighbours");
    if (*lane != instruction.lane()) {
      return InvalidInput(fmt::format("copies on lane '{}' instead of '{}'",
                                      LaneName(instruction.lane()), LaneName(*lane)));
    }
    if (from.size() != to.size()) {
      return InvalidInput(fmt::format("copies {} bytes into {}", from.size(), to.size()));
    }
    return VerifyCopiedValues(copy);
  }

  Status VerifyCopiedValues(const plan::Copy& copy) const {
    if (!copy.has_source() && !copy.has_result()) return {};
    const bool fits = copy.has_source() && copy.has_result() &&
                      ValueBelongs(plan_, copy.source(), index_) &&
                      ValueBelongs(plan_, copy.result(), index_) &&
                      plan_.values(copy.source()).buffer() == copy.from() &&
                      plan_.values(copy.result()).buffer() == copy.to();
    if (!fits) return InvalidInput("the values it names are not those of its buffers");
    const plan::Value& source = plan_.values(copy.source());
    const plan::Value& result = plan_.values(copy.result());
    if (source.dtype() != result.dtype() ||
        !std::equal(source.dims().begin(), source.dims().end(), result.dims().begin(),
                    result.dims().end())) {
      return InvalidInput(fmt::format("copies '{}' to '{}' of another type or shape", source.name(),
                                      result.name()));
    }
    return {};
  }

  const plan::Plan& plan_;
  int index_;  // Of the program.
};

}  // namespace

Status VerifyInstructions(const plan::Plan& plan, const plan::Program& program, int index) {
  const InstructionVerifier verifier(plan, index);
  for (int i = 0; i < program.instructions_size(); ++i) {
    const Status status = verifier.Verify(program.instructions(i), i);
    if (!status.ok()) {
      return status.WithContext(
          fmt::format("instruction {} '{}'", i, program.instructions(i).name()));
    }
  }
  return {};
}

}  // namespace wsi
