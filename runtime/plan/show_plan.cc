#include "runtime/plan/show_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <vector>

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

template <typename... T>
void Print(std::string& out, fmt::format_string<T...> format, T&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<T>(arguments)...);
}

std::string TypeText(const plan::Value& value) {
  return fmt::format("{}{}", DTypeName(ValueDType(value)), ValueShape(value).ToString());
}

void PrintPersistents(std::string& out, const plan::Plan& plan) {
  struct Total {
    int64_t count = 0;
    int64_t elements = 0;
    Bytes bytes = 0;
  };
  std::map<plan::Role, Total> totals;
  Total optimizer;
  for (const plan::Persistent& persistent : plan.persistents()) {
    const plan::Value& value = plan.values(persistent.value());
    Total& total = persistent.optimizer_state() ? optimizer : totals[value.role()];
    ++total.count;
    total.elements += ValueShape(value).ElementCount();
    total.bytes += ValueBytes(value);
  }
  const auto line = [&](std::string_view what, const Total& total) {
    if (total.count == 0) return;
    Print(out, "  {:<16} {:>6} tensors {:>14} elements {:>12}\n", what, total.count, total.elements,
          FormatBytes(total.bytes));
  };
  Print(out, "persistent\n");
  line("parameters", totals[plan::ROLE_PARAMETER]);
  line("state", totals[plan::ROLE_STATE]);
  line("constants", totals[plan::ROLE_CONSTANT]);
  line("optimizer state", optimizer);
}

void PrintProgram(std::string& out, const plan::Plan& plan, const plan::Program& program) {
  double flops = 0;
  std::map<std::string_view, int> phases;
  for (const plan::Instruction& instruction : program.instructions()) {
    flops += instruction.launch().flops();
    ++phases[PhaseName(instruction.phase())];
  }
  Print(out, "program {}: {} instructions", program.name(), program.instructions_size());
  for (const std::string_view phase : {"forward", "backward", "update"}) {
    if (phases[phase] > 0) Print(out, ", {} {}", phases[phase], phase);
  }
  Print(out, ", {:.3f} GFLOP\n", flops * 1e-9);
  const auto value = [&](std::string_view what, int32_t v) {
    Print(out, "  {:<8} {} {}\n", what, plan.values(v).name(), TypeText(plan.values(v)));
  };
  for (const int32_t v : program.inputs()) value("input", v);
  if (program.target() != -1) value("target", program.target());
  for (const int32_t v : program.scalars()) value("scalar", v);
  for (const int32_t v : program.outputs()) value("output", v);
  if (program.loss() != -1) value("loss", program.loss());
}

void PrintSummary(std::string& out, const plan::Plan& plan) {
  const plan::Provenance& from = plan.provenance();
  Print(out, "plan of {} by {}\n", from.model_name(), from.compiler());
  if (!from.model_hash().empty()) Print(out, "model hash {}\n", from.model_hash());
  if (from.flags_size() > 0) Print(out, "flags {}\n", fmt::join(from.flags(), " "));
  Print(out, "device {}, precision {}{}\n", plan.device(), plan.precision(),
        plan.deterministic() ? ", deterministic" : "");
  Print(out, "peak: device {} ({} bytes), host {}, file {}\n",
        FormatBytes(plan.device_peak_bytes()), plan.device_peak_bytes(),
        FormatBytes(plan.host_peak_bytes()), FormatBytes(plan.file_peak_bytes()));
  if (plan.has_training()) {
    const plan::Training& training = plan.training();
    Print(out, "training: loss {}, optimizer {}, learning rate {}, accumulation {}, classes {}",
          training.loss(), training.optimizer(), training.learning_rate(),
          training.accumulation_steps(), training.classes());
    const std::map<std::string, double> numbers(training.numbers().begin(),
                                                training.numbers().end());
    for (const auto& [name, number] : numbers) Print(out, ", {} {}", name, number);
    out += '\n';
  }
  PrintPersistents(out, plan);
  for (const plan::Program& program : plan.programs()) PrintProgram(out, plan, program);
}

void PrintMemory(std::string& out, const plan::Plan& plan) {
  // The first value in each buffer names it.
  std::vector<std::string_view> names(static_cast<size_t>(plan.buffers_size()));
  for (int v = plan.values_size(); v-- > 0;) {
    names[static_cast<size_t>(plan.values(v).buffer())] = plan.values(v).name();
  }
  std::vector<int> order(static_cast<size_t>(plan.buffers_size()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const auto key = [&](int i) {
      const plan::Buffer& buffer = plan.buffers(i);
      return std::tuple(buffer.program(), buffer.tier(), buffer.offset(), buffer.begin());
    };
    return key(a) < key(b);
  });
  Print(out, "\nmemory\n{:>7} {:<7} {:<7} {:>15} {:>15} {:>7} {:>7}  {}\n", "buffer", "program",
        "tier", "offset", "bytes", "begin", "end", "value");
  for (const int i : order) {
    const plan::Buffer& buffer = plan.buffers(i);
    const std::string_view name = names[static_cast<size_t>(i)];
    Print(out, "{:>7} {:<7} {:<7} {:>15} {:>15} {:>7} {:>7}  {}\n", i,
          buffer.program() == -1 ? "all" : plan.programs(buffer.program()).name(),
          TierName(buffer.tier()), buffer.offset(), buffer.size(), buffer.begin(), buffer.end(),
          name.empty() ? "workspace" : name);
  }
}

std::string OperandText(const plan::Plan& plan,
                        const google::protobuf::RepeatedField<int32_t>& values) {
  std::string text;
  for (const int32_t v : values) {
    if (!text.empty()) text += ", ";
    text += v == -1 ? "-" : fmt::format("%{}:{}", plan.values(v).name(), TypeText(plan.values(v)));
  }
  return text;
}

void PrintInstruction(std::string& out, const plan::Plan& plan, int i,
                      const plan::Instruction& instruction) {
  Print(out, "{:>6} {:<7} {:<8} ", i, LaneName(instruction.lane()), PhaseName(instruction.phase()));
  if (instruction.has_launch()) {
    const plan::Launch& launch = instruction.launch();
    Print(out, "{} = {}({})", OperandText(plan, launch.outputs()), launch.op(),
          OperandText(plan, launch.inputs()));
    for (const plan::Attribute& attribute : launch.attributes()) {
      Print(out, " {}", AttributeText(attribute));
    }
    if (launch.workspace() != -1) {
      Print(out, " workspace={}", FormatBytes(plan.buffers(launch.workspace()).size()));
    }
  } else if (instruction.has_copy()) {
    const plan::Copy& copy = instruction.copy();
    Print(out, "copy buffer {} ({}) to {} ({}), {}", copy.from(),
          TierName(plan.buffers(copy.from()).tier()), copy.to(),
          TierName(plan.buffers(copy.to()).tier()), FormatBytes(plan.buffers(copy.to()).size()));
  } else if (instruction.has_collective()) {
    Print(out, "sum over ranks {}", OperandText(plan, instruction.collective().values()));
  } else {
    out += "barrier";
  }
  if (instruction.waits_size() > 0) Print(out, " after {}", fmt::join(instruction.waits(), ","));
  Print(out, "  # {}\n", instruction.name());
}

void PrintOps(std::string& out, const plan::Plan& plan) {
  struct Total {
    int launches = 0;
    double flops = 0;
    double bytes = 0;
  };
  for (const plan::Program& program : plan.programs()) {
    std::map<std::string_view, Total> totals;
    for (const plan::Instruction& instruction : program.instructions()) {
      Total& total = totals[KindName(instruction)];
      ++total.launches;
      total.flops += instruction.launch().flops();
      total.bytes += instruction.launch().bytes();
    }
    Print(out, "\noperators of {}\n{:<28} {:>8} {:>12} {:>12}\n", program.name(), "operator",
          "launches", "GFLOP", "GB");
    for (const auto& [op, total] : totals) {
      Print(out, "{:<28} {:>8} {:>12.3f} {:>12.3f}\n", op, total.launches, total.flops * 1e-9,
            total.bytes * 1e-9);
    }
  }
}

}  // namespace

std::string ShowPlan(const plan::Plan& plan, const ShowPlanOptions& options) {
  std::string out;
  PrintSummary(out, plan);
  if (options.ops) PrintOps(out, plan);
  if (options.memory) PrintMemory(out, plan);
  if (options.schedule) {
    for (const plan::Program& program : plan.programs()) {
      Print(out, "\nschedule of {}\n", program.name());
      for (int i = 0; i < program.instructions_size(); ++i) {
        PrintInstruction(out, plan, i, program.instructions(i));
      }
    }
  }
  return out;
}

}  // namespace wsi
