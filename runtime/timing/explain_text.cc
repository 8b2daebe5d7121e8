#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "runtime/plan/plan_types.h"
#include "runtime/timing/explain.h"

namespace wsi {
namespace {

constexpr int kColumns = 72;
constexpr int kRows = 8;

template <typename... T>
void Print(std::string& out, fmt::format_string<T...> format, T&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<T>(arguments)...);
}

double Share(Bytes part, Bytes whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// "412 'conv1' (Conv)".
std::string InstructionText(const plan::Program& program, int i) {
  const plan::Instruction& instruction = program.instructions(i);
  return fmt::format("{} '{}' ({})", i, instruction.name(), KindName(instruction));
}

void PrintTimes(std::string& out, const plan::Program& program, const Explanation& e) {
  const Timeline& t = e.timeline;
  Print(out, "step: {:.3f} ms predicted, computing {:.3f} ms, stalled {:.3f} ms ({:.1f} %)\n",
        t.step_seconds * 1e3, t.compute_seconds() * 1e3, t.stalled_seconds() * 1e3,
        t.stalled_share() * 100);
  for (size_t lane = 0; lane < t.lanes.size(); ++lane) {
    const LaneTotals& totals = t.lanes[lane];
    if (totals.instructions == 0) continue;
    Print(out, "  {:<8} {:>6} instructions, busy {:>10.3f} ms",
          LaneName(static_cast<plan::Lane>(lane)), totals.instructions, totals.busy_seconds * 1e3);
    if (totals.copied_bytes > 0) Print(out, ", {} copied", FormatBytes(totals.copied_bytes));
    out += '\n';
  }
  std::array<double, plan::Lane_ARRAYSIZE> critical = {};
  for (const int i : CriticalChain(t)) {
    const Span& span = t.spans[static_cast<size_t>(i)];
    critical[static_cast<size_t>(program.instructions(i).lane())] += span.end - span.start;
  }
  out += "  critical chain:";
  const char* separator = " ";
  for (size_t lane = 0; lane < critical.size(); ++lane) {
    if (critical[lane] <= 0) continue;
    Print(out, "{}{} {:.3f} ms", separator, LaneName(static_cast<plan::Lane>(lane)),
          critical[lane] * 1e3);
    separator = ", ";
  }
  out += '\n';
}

void PrintTier(std::string& out, const plan::Program& program, plan::Tier which,
               const TierTimeline& tier) {
  Print(out, "\n{} memory: arena {}, {} live at the peak ({:.1f} %), {} of that persistent\n",
        TierName(which), FormatBytes(tier.arena), FormatBytes(tier.peak),
        Share(tier.peak, tier.arena) * 100, FormatBytes(tier.persistent));
  if (tier.live.empty()) return;
  Print(out, "peak at instruction {}\n", InstructionText(program, tier.peak_at));
  out += MemoryChart(tier, kColumns, kRows);
}

void PrintGroups(std::string& out, const Explanation& e) {
  if (e.groups.empty()) return;
  Print(out, "\n{:>6} {:>7} {:>7} {:>12} {:>12} {:>10} {:>12}\n", "group", "begin", "end", "ms",
        "computing", "copied", "device peak");
  for (size_t g = 0; g < e.groups.size(); ++g) {
    const ProgramGroup& group = e.groups[g];
    Print(out, "{:>6} {:>7} {:>7} {:>12.3f} {:>12.3f} {:>10} {:>12}\n", g, group.begin, group.end,
          group.seconds * 1e3, group.compute_seconds * 1e3, FormatBytes(group.copied_bytes),
          FormatBytes(group.device_peak));
  }
}

void PrintLargest(std::string& out, const plan::Plan& plan, const Explanation& e, int largest) {
  const plan::Program& program = plan.programs(e.program);
  const auto count = std::min(static_cast<size_t>(largest), e.memory.buffers.size());
  Print(out, "\nlargest buffers (* live at its tier's peak)\n{:>10} {:>8}  {:<6} {:<10}  {}\n",
        "size", "of peak", "tier", "use", "name, and when it is live");
  for (size_t k = 0; k < count; ++k) {
    const BufferLife& life = e.memory.buffers[k];
    const plan::Buffer& buffer = plan.buffers(life.buffer);
    const TierTimeline& tier = e.memory.tiers[static_cast<size_t>(buffer.tier())];
    const bool at_peak = life.begin <= tier.peak_at && tier.peak_at < life.end;
    Print(out, "{:>10} {:>6.1f} %{} {:<6} {:<10}  {}, ", FormatBytes(buffer.size()),
          Share(buffer.size(), tier.peak) * 100, at_peak ? '*' : ' ', TierName(buffer.tier()),
          BufferUseName(life.use), life.name);
    if (buffer.program() == -1) {
      out += "always\n";
    } else {
      Print(out, "[{}, {}): from {} to {}\n", life.begin, life.end,
            InstructionText(program, life.begin), InstructionText(program, life.end - 1));
    }
  }
}

}  // namespace

std::string MemoryChart(const TierTimeline& tier, int columns, int rows) {
  const auto instructions = static_cast<int64_t>(tier.live.size());
  const auto width = static_cast<int>(std::min<int64_t>(columns, instructions));
  const auto column_of = [&](int64_t i) { return static_cast<size_t>(i * width / instructions); };
  std::vector<Bytes> most(static_cast<size_t>(width));
  for (int64_t i = 0; i < instructions; ++i) {
    Bytes& column = most[column_of(i)];
    column = std::max(column, tier.live[static_cast<size_t>(i)]);
  }
  std::string out;
  for (int row = rows; row > 0; --row) {
    // A cell is filled where the column reaches more than half of it.
    const double level = Share(tier.peak, 1) * (row - 0.5) / rows;
    std::string line;
    for (const Bytes bytes : most) line += static_cast<double>(bytes) > level ? '#' : ' ';
    line.erase(line.find_last_not_of(' ') + 1);
    Print(out, "{:>10} |{}\n", row == rows ? FormatBytes(tier.peak) : "", line);
  }
  const std::string last = fmt::format("{}", instructions - 1);
  Print(out, "{:>10} +{:-<{}}\n", "0 B", "", width);
  Print(out, "{:>10}  0{:>{}}\n", "", last,
        std::max<int>(width - 1, static_cast<int>(last.size()) + 1));
  Print(out, "{:>10}  {:>{}} peak, instruction {}\n", "", "^",
        static_cast<int>(column_of(tier.peak_at)) + 1, tier.peak_at);
  return out;
}

std::string ExplanationText(const plan::Plan& plan, const plan::Rates& rates, const Explanation& e,
                            int largest) {
  const plan::Program& program = plan.programs(e.program);
  std::string out;
  Print(out, "{} of {}: {} instructions for device {}, {}; rates of {}\n", program.name(),
        plan.provenance().model_name(), program.instructions_size(), plan.device(),
        plan.precision(), rates.device());
  PrintTimes(out, program, e);
  for (size_t tier = 0; tier < e.memory.tiers.size(); ++tier) {
    if (tier != plan::TIER_DEVICE && e.memory.tiers[tier].arena == 0) continue;
    PrintTier(out, program, static_cast<plan::Tier>(tier), e.memory.tiers[tier]);
  }
  PrintGroups(out, e);
  PrintLargest(out, plan, e, largest);
  return out;
}

}  // namespace wsi
