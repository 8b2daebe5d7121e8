// What each buffer holds while a program runs. A buffer holds the value last written
// to it, and every value that is the same bytes under another name.
#include <algorithm>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/plan/verify_parts.h"

namespace wsi {
namespace {

struct Contents {
  std::vector<int32_t> values;  // What may be read.
  bool written = false;
  uint32_t dtype = 0;
  int64_t elements = 0;
  bool of_update = false;  // Written in a phase that most micro-steps skip.
  bool computed = false;   // By an instruction, not there before the first.
};

int64_t ElementsOf(const plan::Value& value) {
  int64_t count = 1;
  for (const int64_t size : value.dims()) count *= size;
  return count;
}

// Operators whose output 0 is input 0's bytes when the two share a buffer.
bool IsView(std::string_view op) { return op == "Reshape" || op == "Identity"; }

class ContentsVerifier {
 public:
  ContentsVerifier(const plan::Plan& plan, const plan::Program& program, int index)
      : plan_(plan),
        program_(program),
        index_(index),
        contents_(static_cast<size_t>(plan.buffers_size())),
        has_source_(static_cast<size_t>(plan.values_size())),
        seen_(static_cast<size_t>(plan.values_size())),
        constant_(static_cast<size_t>(plan.buffers_size())) {}

  Status Verify() {
    WSI_RETURN_IF_ERROR(Start());
    for (int i = 0; i < program_.instructions_size(); ++i) {
      const std::string problem = Step(program_.instructions(i), i);
      if (!problem.empty()) return InstructionError(program_, i, problem);
    }
    const std::string problem = Finish();
    if (problem.empty()) return {};
    return InvalidInput(fmt::format("program '{}', at its end: {}", program_.name(), problem));
  }

 private:
  Contents& Of(const plan::Value& value) { return contents_[static_cast<size_t>(value.buffer())]; }
  const plan::Value& value(int32_t v) const { return plan_.values(v); }

  // What is there before the first instruction.
  Status Start() {
    const auto hold = [&](int32_t v) {
      has_source_[static_cast<size_t>(v)] = true;
      Put(v, false);
      Of(value(v)).computed = false;
      seen_[static_cast<size_t>(v)] = false;
    };
    for (const plan::Persistent& persistent : plan_.persistents()) {
      hold(persistent.value());
      if (value(persistent.value()).role() == plan::ROLE_CONSTANT) {
        constant_[static_cast<size_t>(value(persistent.value()).buffer())] = true;
      }
    }
    std::vector<int32_t> slots(program_.inputs().begin(), program_.inputs().end());
    slots.insert(slots.end(), program_.scalars().begin(), program_.scalars().end());
    if (program_.target() != -1) slots.push_back(program_.target());
    for (const int32_t v : slots) {
      const plan::Buffer& buffer = plan_.buffers(value(v).buffer());
      if (Of(value(v)).written || (buffer.program() != -1 && buffer.begin() != 0)) {
        return InvalidInput(
            fmt::format("program '{}': '{}' shares its buffer, or has none before "
                        "the first instruction",
                        program_.name(), value(v).name()));
      }
      hold(v);
    }
    for (const plan::Instruction& instruction : program_.instructions()) {
      for (const int32_t v : instruction.launch().outputs()) {
        if (v != -1) has_source_[static_cast<size_t>(v)] = true;
      }
      if (instruction.has_copy() && instruction.copy().has_result()) {
        has_source_[static_cast<size_t>(instruction.copy().result())] = true;
      }
    }
    return {};
  }

  std::string Step(const plan::Instruction& instruction, int i) {
    const bool update = instruction.phase() == plan::PHASE_UPDATE;
    switch (instruction.kind_case()) {
      case plan::Instruction::kLaunch: return Launch(instruction.launch(), i, update);
      case plan::Instruction::kCopy: return Copy(instruction.copy(), i, update);
      case plan::Instruction::kCollective:
        for (const int32_t v : instruction.collective().values()) {
          std::string problem = Read(v, i, update);
          if (problem.empty()) problem = CheckWrite(value(v).buffer(), i);
          if (!problem.empty()) return problem;
          Of(value(v)).of_update = update;
        }
        return {};
      default: return {};
    }
  }

  std::string Launch(const plan::Launch& launch, int i, bool update) {
    const int32_t w = launch.workspace();
    if (w != -1 && !IsLive(w, i)) return fmt::format("its workspace, buffer {}, is not live", w);
    for (const int32_t v : launch.inputs()) {
      if (v == -1) continue;
      std::string problem = Read(v, i, update);
      if (problem.empty() && value(v).buffer() == w) problem = "an input is its workspace";
      if (!problem.empty()) return problem;
    }
    if (w != -1) {
      std::string problem = CheckWrite(w, i);
      if (!problem.empty()) return problem;
      contents_[static_cast<size_t>(w)] = {};
    }
    for (int k = 0; k < launch.outputs_size(); ++k) {
      const int32_t v = launch.outputs(k);
      if (v == -1) continue;
      std::string problem = CheckWrite(value(v).buffer(), i);
      if (problem.empty() && value(v).buffer() == w) problem = "an output is its workspace";
      if (!problem.empty()) return problem;
      const bool view = k == 0 && IsView(launch.op()) && launch.inputs_size() > 0 &&
                        launch.inputs(0) != -1 && SameBytes(launch.inputs(0), v);
      Put(v, update, view);
    }
    return {};
  }

  std::string Copy(const plan::Copy& copy, int i, bool update) {
    if (!IsLive(copy.from(), i)) return fmt::format("buffer {} is not live", copy.from());
    const Contents& from = contents_[static_cast<size_t>(copy.from())];
    if (!from.written) return fmt::format("copies buffer {} before it is written", copy.from());
    if (from.of_update && !update) return "copies what only the update phase writes";
    std::string problem = copy.has_source() ? Read(copy.source(), i, update) : std::string();
    if (problem.empty()) problem = CheckWrite(copy.to(), i);
    if (!problem.empty()) return problem;
    if (copy.has_result()) {
      Put(copy.result(), update);
      return {};
    }
    Contents& to = contents_[static_cast<size_t>(copy.to())];
    to = from;
    to.values.clear();
    to.of_update = update;
    to.computed = true;
    return {};
  }

  std::string Finish() {
    const int end = program_.instructions_size();
    std::vector<int32_t> results(program_.outputs().begin(), program_.outputs().end());
    if (program_.loss() != -1) results.push_back(program_.loss());
    for (const int32_t v : results) {
      std::string problem = Read(v, end, false);
      if (!problem.empty()) return problem;
    }
    for (const plan::Persistent& persistent : plan_.persistents()) {
      const plan::Value& state = value(persistent.value());
      const Contents& now = Of(state);
      if (!now.written || now.dtype != state.dtype() || now.elements != ElementsOf(state)) {
        return fmt::format("persistent '{}' holds a value of another type or size",
                           persistent.onnx_name());
      }
      if (program_.name() != "train" || persistent.gradient() == -1) continue;
      std::string problem = CheckGradient(persistent);
      if (!problem.empty()) return problem;
    }
    return {};
  }

  std::string CheckGradient(const plan::Persistent& persistent) {
    const int32_t v = persistent.gradient();
    const plan::Buffer& buffer = plan_.buffers(value(v).buffer());
    if (buffer.tier() != plan::TIER_DEVICE || buffer.program() != index_) {
      return fmt::format("gradient of '{}' is not in this program's device memory",
                         persistent.onnx_name());
    }
    if (seen_[static_cast<size_t>(v)]) return {};
    const std::string problem = Read(v, program_.instructions_size(), false);
    if (!problem.empty()) {
      return fmt::format("gradient of '{}': {}", persistent.onnx_name(), problem);
    }
    if (seen_[static_cast<size_t>(v)]) return {};
    return fmt::format("nothing computes the gradient of '{}'", persistent.onnx_name());
  }

  bool IsLive(int32_t b, int i) const {
    const plan::Buffer& buffer = plan_.buffers(b);
    if (buffer.program() == -1) return true;
    // At the program's end live means: still there behind the last instruction.
    if (i == program_.instructions_size()) return buffer.end() == i;
    return buffer.begin() <= i && i < buffer.end();
  }

  std::string Read(int32_t v, int i, bool update) {
    if (!IsLive(value(v).buffer(), i)) {
      return fmt::format("reads '{}', whose buffer {} is not live", value(v).name(),
                         value(v).buffer());
    }
    Contents& held = Of(value(v));
    if (!held.written) return fmt::format("reads '{}' before it is written", value(v).name());
    if (std::find(held.values.begin(), held.values.end(), v) == held.values.end()) {
      // A value that nothing writes is another name of what its buffer holds.
      const bool renames = !has_source_[static_cast<size_t>(v)] && held.dtype == value(v).dtype() &&
                           held.elements == ElementsOf(value(v));
      if (!renames) {
        return fmt::format(
            "reads '{}', but buffer {} holds {}", value(v).name(), value(v).buffer(),
            held.values.empty() ? "something else" : "'" + value(held.values[0]).name() + "'");
      }
      held.values.push_back(v);
    }
    if (held.of_update && !update) {
      return fmt::format("reads '{}', which only the update phase writes", value(v).name());
    }
    if (held.computed && !held.of_update) seen_[static_cast<size_t>(v)] = true;
    return {};
  }

  std::string CheckWrite(int32_t b, int i) const {
    if (!IsLive(b, i)) return fmt::format("writes buffer {}, which is not live", b);
    if (constant_[static_cast<size_t>(b)]) return fmt::format("writes buffer {}, a constant", b);
    return {};
  }

  bool SameBytes(int32_t a, int32_t b) const {
    return value(a).buffer() == value(b).buffer() && value(a).dtype() == value(b).dtype() &&
           ElementsOf(value(a)) == ElementsOf(value(b));
  }

  void Put(int32_t v, bool update, bool keep = false) {
    Contents& held = Of(value(v));
    if (!keep) held.values.clear();
    held.values.push_back(v);
    held.written = true;
    held.dtype = value(v).dtype();
    held.elements = ElementsOf(value(v));
    held.of_update = update;
    held.computed = true;
    if (!update) seen_[static_cast<size_t>(v)] = true;
  }

  const plan::Plan& plan_;
  const plan::Program& program_;
  int index_;
  std::vector<Contents> contents_;  // By buffer.
  std::vector<bool> has_source_;    // By value: written here, or there before.
  std::vector<bool> seen_;          // By value: computed in every micro-step.
  std::vector<bool> constant_;      // By buffer.
};

}  // namespace

Status VerifyContents(const plan::Plan& plan, const plan::Program& program, int index) {
  return ContentsVerifier(plan, program, index).Verify();
}

}  // namespace wsi
