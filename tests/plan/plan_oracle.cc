#include "tests/plan/plan_oracle.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

using Cells = std::vector<uint64_t>;  // Of a buffer or value, one for each kCell bytes begun.
constexpr Bytes kCell = 64;

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15U ^ (b + 0x7F4A7C15U);
  x ^= x >> 29;
  return x * 0xBF58476D1CE4E5B9U ^ (x >> 32);
}
uint64_t HashOf(const std::string& text) {
  uint64_t hash = 17;
  for (const char c : text) hash = Mix(hash, static_cast<unsigned char>(c));
  return hash;
}
Cells Fill(uint64_t hash, size_t count) {
  Cells cells(count);
  for (size_t i = 0; i < count; ++i) cells[i] = Mix(hash, i);
  return cells;
}
size_t CellCount(Bytes bytes) { return static_cast<size_t>(CeilDiv(bytes, kCell)); }

bool IsView(const std::string& op) { return op == "Reshape" || op == "Identity"; }

// What a launch computes from its inputs.
Cells Compute(const plan::Instruction& instruction, const std::vector<Cells>& inputs, int output,
              size_t count) {
  const plan::Launch& launch = instruction.launch();
  if (IsView(launch.op()) && output == 0 && !inputs.empty() && inputs[0].size() == count) {
    return inputs[0];
  }
  uint64_t hash = Mix(HashOf(launch.op()), HashOf(instruction.name()));
  for (const Cells& input : inputs) {
    for (const uint64_t cell : input) hash = Mix(hash, cell);
    hash = Mix(hash, input.size());
  }
  return Fill(Mix(hash, static_cast<uint64_t>(output)), count);
}

// One program in one choice of phases.
class ProgramOracle {
 public:
  ProgramOracle(const plan::Plan& plan, int index, bool update)
      : plan_(plan), index_(index), program_(plan.programs(index)), update_(update) {}

  std::string Find() {
    FindGradients();
    std::string flaw = RunAsSaid();
    if (!flaw.empty()) return flaw;
    FindOrder();
    std::vector<int> order;
    for (int i = 0; i < Count(); ++i) order.push_back(i);
    flaw = RunAsPlanned(order, true);
    for (int i = 0; flaw.empty() && i < Count(); ++i) {
      flaw = RunAsPlanned(Early(i), false);
      if (flaw.empty()) flaw = RunAsPlanned(Late(i), false);
    }
    return flaw;
  }

 private:
  int Count() const { return program_.instructions_size(); }
  bool Enabled(int i) const {
    return update_ || program_.instructions(i).phase() != plan::PHASE_UPDATE;
  }
  const plan::Buffer& BufferOf(int32_t v) const { return plan_.buffers(plan_.values(v).buffer()); }
  size_t CellsOf(int32_t v) const { return CellCount(ValueBytes(plan_.values(v))); }
  std::string Flaw(int i, const std::string& what) const {
    return fmt::format("program '{}' {} update, instruction {}: {}", program_.name(),
                       update_ ? "with" : "without", i, what);
  }
  std::vector<int32_t> Slots() const {
    std::vector<int32_t> slots(program_.inputs().begin(), program_.inputs().end());
    if (program_.target() != -1) slots.push_back(program_.target());
    slots.insert(slots.end(), program_.scalars().begin(), program_.scalars().end());
    return slots;
  }
  std::vector<int32_t> Results() const {
    std::vector<int32_t> results(program_.outputs().begin(), program_.outputs().end());
    if (program_.loss() != -1) results.push_back(program_.loss());
    return results;
  }
  uint64_t Initial(int32_t v) const { return Mix(HashOf(plan_.values(v).name()), 99); }

  void FindGradients() {
    if (program_.name() != "train") return;
    for (const plan::Persistent& persistent : plan_.persistents()) {
      if (persistent.gradient() == -1) continue;
      const int writer = FindWriter(plan_, program_, persistent.gradient());
      if (writer >= 0) gradients_[writer].push_back(persistent.gradient());
    }
  }

  // --- Unshared memory, program order.

  Cells& Own(int32_t buffer) {
    Cells& cells = own_[buffer];
    if (cells.empty()) {
      cells =
          Fill(Mix(0xDEAD, static_cast<uint64_t>(buffer)), CellCount(plan_.buffers(buffer).size()));
    }
    return cells;
  }
  void Say(int32_t v, const Cells& cells) {
    said_[v] = cells;
    Cells& own = Own(plan_.values(v).buffer());
    std::copy(cells.begin(), cells.end(), own.begin());
    written_[plan_.values(v).buffer()] = true;
  }
  // What `v` is now; none if it is nothing yet.
  std::optional<Cells> Said(int32_t v) {
    if (has_source_[v]) {
      const auto at = said_.find(v);
      return at == said_.end() ? std::nullopt : std::optional(at->second);
    }
    if (!written_[plan_.values(v).buffer()]) return std::nullopt;
    const Cells& own = Own(plan_.values(v).buffer());
    return Cells(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(CellsOf(v)));
  }

  std::string RunAsSaid() {
    for (const plan::Persistent& p : plan_.persistents()) has_source_[p.value()] = true;
    for (const int32_t v : Slots()) has_source_[v] = true;
    for (int i = 0; i < Count(); ++i) {
      const plan::Instruction& instruction = program_.instructions(i);
      for (const int32_t v : instruction.launch().outputs()) has_source_[v] = true;
      if (instruction.copy().has_result()) has_source_[instruction.copy().result()] = true;
    }
    for (const plan::Persistent& p : plan_.persistents()) {
      Say(p.value(), Fill(Initial(p.value()), CellsOf(p.value())));
    }
    for (const int32_t v : Slots()) Say(v, Fill(Initial(v), CellsOf(v)));
    operands_.resize(static_cast<size_t>(Count()));
    for (int i = 0; i < Count(); ++i) {
      std::string flaw = Enabled(i) ? Say(i) : std::string();
      if (flaw.empty() && Enabled(i)) flaw = SayGradients(i);
      if (!flaw.empty()) return Flaw(i, flaw);
    }
    for (const int32_t v : Results()) {
      const std::optional<Cells> cells = Said(v);
      if (!cells) return Flaw(Count(), fmt::format("result {} is nothing", v));
      results_.push_back(*cells);
    }
    return {};
  }

  std::string Say(int i) {
    const plan::Instruction& instruction = program_.instructions(i);
    if (instruction.has_copy()) return SayCopy(instruction.copy());
    std::vector<Cells>& inputs = operands_[static_cast<size_t>(i)];
    for (const int32_t v : instruction.launch().inputs()) {
      const std::optional<Cells> cells = v == -1 ? Cells() : Said(v);
      if (!cells) return fmt::format("input {} is nothing", v);
      inputs.push_back(*cells);
    }
    for (int k = 0; k < instruction.launch().outputs_size(); ++k) {
      const int32_t v = instruction.launch().outputs(k);
      if (v != -1) Say(v, Compute(instruction, inputs, k, CellsOf(v)));
    }
    return {};
  }

  std::string SayCopy(const plan::Copy& copy) {
    if (copy.has_source()) {
      const std::optional<Cells> cells = Said(copy.source());
      if (!cells) return fmt::format("copies {}, which is nothing", copy.source());
      const Cells kept = *cells;
      Say(copy.result(), kept);
      return {};
    }
    if (!written_[copy.from()]) return fmt::format("copies buffer {} with nothing", copy.from());
    const Cells cells = Own(copy.from());
    Own(copy.to()) = cells;
    written_[copy.to()] = true;
    return {};
  }

  std::string SayGradients(int i) {
    for (const int32_t v : gradients_[i]) {
      const std::optional<Cells> cells = Said(v);
      if (!cells) return fmt::format("gradient {} is nothing", v);
      tapped_[v] = *cells;
    }
    return {};
  }

  // --- Shared memory, any order that is allowed.

  void FindOrder() {
    before_.assign(static_cast<size_t>(Count()), std::vector<bool>(static_cast<size_t>(Count())));
    for (int i = 0; i < Count(); ++i) {
      const plan::Instruction& instruction = program_.instructions(i);
      const auto follow = [&](int j) {
        before_[static_cast<size_t>(i)][static_cast<size_t>(j)] = true;
        for (int k = 0; k < j; ++k) {
          if (before_[static_cast<size_t>(j)][static_cast<size_t>(k)]) {
            before_[static_cast<size_t>(i)][static_cast<size_t>(k)] = true;
          }
        }
      };
      for (const int32_t wait : instruction.waits()) follow(wait);
      for (int j = 0; j < i; ++j) {
        const plan::Instruction& other = program_.instructions(j);
        if (other.lane() == instruction.lane() || other.has_barrier() ||
            instruction.has_barrier()) {
          follow(j);
        }
      }
    }
  }
  bool Before(int a, int b) const {
    return before_[static_cast<size_t>(b)][static_cast<size_t>(a)];
  }
  std::vector<int> Early(int i) const {  // Everything that it need not follow comes behind it.
    std::vector<int> order;
    for (int j = 0; j < Count(); ++j) {
      if (Before(j, i) || j == i) order.push_back(j);
    }
    for (int j = 0; j < Count(); ++j) {
      if (!Before(j, i) && j != i) order.push_back(j);
    }
    return order;
  }
  std::vector<int> Late(int i) const {
    std::vector<int> order;
    for (int j = 0; j < Count(); ++j) {
      if (!Before(i, j) && j != i) order.push_back(j);
    }
    order.push_back(i);
    for (int j = 0; j < Count(); ++j) {
      if (Before(i, j)) order.push_back(j);
    }
    return order;
  }

  uint64_t* At(const plan::Buffer& buffer) {
    return arenas_[static_cast<size_t>(buffer.tier())].data() + buffer.offset() / kCell;
  }
  Cells Load(const plan::Buffer& buffer, size_t count) { return {At(buffer), At(buffer) + count}; }
  void Store(const plan::Buffer& buffer, const Cells& cells) {
    std::copy(cells.begin(), cells.end(), At(buffer));
  }
  void Poison(const plan::Buffer& buffer) {
    Store(buffer, Fill(++poison_, CellCount(buffer.size())));
  }

  void Reset(bool slots_backward) {
    const std::array<Bytes, 3> sizes = {plan_.device_peak_bytes(), plan_.host_peak_bytes(),
                                        plan_.file_peak_bytes()};
    for (size_t tier = 0; tier < sizes.size(); ++tier) {
      arenas_[tier] = Fill(++poison_, CellCount(sizes[tier]) + 1);
    }
    for (const plan::Persistent& p : plan_.persistents()) {
      Store(BufferOf(p.value()), Fill(Initial(p.value()), CellsOf(p.value())));
    }
    std::vector<int32_t> slots = Slots();
    if (slots_backward) std::reverse(slots.begin(), slots.end());
    for (const int32_t v : slots) Store(BufferOf(v), Fill(Initial(v), CellsOf(v)));
  }

  // `in_order`: memory that begins or ends its life is poisoned too.
  std::string RunAsPlanned(const std::vector<int>& order, bool in_order) {
    Reset(!in_order);
    for (const int i : order) {
      if (in_order) PoisonBorn(i);
      if (Enabled(i)) {
        std::string flaw = Do(i);
        if (flaw.empty()) flaw = CheckGradients(i);
        if (!flaw.empty()) return Flaw(i, flaw);
      }
      if (in_order) PoisonDead(i);
    }
    const std::vector<int32_t> results = Results();
    for (size_t k = 0; k < results.size(); ++k) {
      if (Load(BufferOf(results[k]), results_[k].size()) != results_[k]) {
        return Flaw(Count(), fmt::format("result {} differs", results[k]));
      }
    }
    for (const plan::Persistent& p : plan_.persistents()) {
      Cells own = Own(plan_.values(p.value()).buffer());
      own.resize(CellsOf(p.value()));
      if (Load(BufferOf(p.value()), own.size()) != own) {
        return Flaw(Count(), fmt::format("persistent '{}' differs", p.onnx_name()));
      }
    }
    return {};
  }

  void PoisonBorn(int i) {
    const std::vector<int32_t> slots = Slots();
    for (int b = 0; b < plan_.buffers_size(); ++b) {
      const plan::Buffer& buffer = plan_.buffers(b);
      if (buffer.program() != index_ || buffer.begin() != i || buffer.end() == i) continue;
      const bool given = std::any_of(slots.begin(), slots.end(),
                                     [&](int32_t v) { return plan_.values(v).buffer() == b; });
      if (!given) Poison(buffer);
    }
  }
  void PoisonDead(int i) {
    for (const plan::Buffer& buffer : plan_.buffers()) {
      if (buffer.program() == index_ && buffer.end() == i + 1 && buffer.begin() != buffer.end() &&
          buffer.end() != Count()) {
        Poison(buffer);
      }
    }
  }

  std::string Do(int i) {
    const plan::Instruction& instruction = program_.instructions(i);
    if (instruction.has_copy()) {
      const plan::Buffer& from = plan_.buffers(instruction.copy().from());
      Store(plan_.buffers(instruction.copy().to()), Load(from, CellCount(from.size())));
      return {};
    }
    const plan::Launch& launch = instruction.launch();
    if (instruction.has_launch() && launch.workspace() >= 0) {
      Poison(plan_.buffers(launch.workspace()));
    }
    const std::vector<Cells>& inputs = operands_[static_cast<size_t>(i)];
    for (int k = 0; k < launch.inputs_size(); ++k) {
      if (launch.inputs(k) == -1) continue;
      const Cells& said = inputs[static_cast<size_t>(k)];
      if (Load(BufferOf(launch.inputs(k)), said.size()) != said) {
        return fmt::format("input {} differs", k);
      }
    }
    for (int k = 0; k < launch.outputs_size(); ++k) {
      const int32_t v = launch.outputs(k);
      if (v != -1) Store(BufferOf(v), Compute(instruction, inputs, k, CellsOf(v)));
    }
    return {};
  }

  std::string CheckGradients(int i) {
    for (const int32_t v : gradients_[i]) {
      if (Load(BufferOf(v), tapped_[v].size()) != tapped_[v]) {
        return fmt::format("gradient {} differs", v);
      }
    }
    return {};
  }

  const plan::Plan& plan_;
  int index_;
  const plan::Program& program_;
  bool update_;
  std::map<int, std::vector<int32_t>> gradients_;  // By the instruction that completes them.
  // As said.
  std::map<int32_t, Cells> own_;  // By buffer.
  std::map<int32_t, bool> written_;
  std::map<int32_t, Cells> said_;  // By value.
  std::map<int32_t, bool> has_source_;
  std::vector<std::vector<Cells>> operands_;  // Inputs by instruction.
  std::map<int32_t, Cells> tapped_;
  std::vector<Cells> results_;
  // As planned.
  std::vector<std::vector<bool>> before_;
  std::array<Cells, 3> arenas_;  // By tier.
  uint64_t poison_ = 0xBAD;
};

}  // namespace

std::string FindFlaw(const plan::Plan& plan) {
  for (int p = 0; p < plan.programs_size(); ++p) {
    for (const bool update : {true, false}) {
      std::string flaw = ProgramOracle(plan, p, update).Find();
      if (!flaw.empty()) return flaw;
    }
  }
  return {};
}

}  // namespace wsi
