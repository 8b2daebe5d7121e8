#include "runtime/timing/memory_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/plan/plan_types.h"
#include "runtime/timing/svg.h"

namespace wsi {
namespace {

constexpr double kLeft = 90;
constexpr double kPlotWidth = 1080;
constexpr double kWidth = kLeft + kPlotWidth + 30;
constexpr double kTop = 70;
constexpr double kGap = 44;  // Between panels, for the axis below one and the title of the next.
constexpr double kLaneHeight = 20;
constexpr std::array<double, 3> kPanelHeights = {400, 240, 160};  // By tier.

// Fill of each BufferUse, by its name.
constexpr std::string_view kStyle =
    "text{font:12px sans-serif;fill:#222}.title{font-size:15px}.right{text-anchor:end}"
    ".middle{text-anchor:middle}.axis{stroke:#222}.grid{stroke:#ddd}"
    ".peak{stroke:#222;stroke-dasharray:4 3}.live{fill:none;stroke:#222;stroke-width:1}"
    "rect{stroke:#fff;stroke-width:.2}"
    ".parameter{fill:#4e79a7}.state{fill:#a0cbe8}.optimizer{fill:#76b7b2}.input{fill:#edc948}"
    ".activation{fill:#f28e2b}.forward{fill:#59a14f}.backward{fill:#e15759}"
    ".update{fill:#b07aa1}.workspace{fill:#9c755f}";

// The largest of 1, 2, 5, 10, 20, ... that gives at least `count` steps up to `whole`.
double NiceStep(double whole, double count) {
  const double raw = whole / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {5.0, 2.0}) {
    if (factor * power <= raw) return factor * power;
  }
  return power;
}

// Where instructions are on the horizontal axis. Time only goes on: an instruction is at
// the latest end of those before it, so that lifetimes, which are in instructions, keep
// their order.
class TimeAxis {
 public:
  explicit TimeAxis(const Timeline& timeline) : whole_(timeline.step_seconds) {
    double now = 0;
    for (const Span& span : timeline.spans) {
      at_.push_back(now);
      now = std::max(now, span.end);
    }
    at_.push_back(now);
  }
  double X(double seconds) const {
    return kLeft + (whole_ > 0 ? seconds / whole_ * kPlotWidth : 0);
  }
  // Where instruction `i` begins; the program's end for their number.
  double Begin(int i) const { return X(at_[static_cast<size_t>(i)]); }
  double whole_ms() const { return whole_ * 1e3; }

 private:
  double whole_;
  std::vector<double> at_;
};

struct Panel {
  plan::Tier tier;
  double top;
  double height;
  Bytes bytes;  // What the height stands for.

  double Y(Bytes at) const {
    return top + height - static_cast<double>(at) / static_cast<double>(bytes) * height;
  }
};

void DrawTimeTicks(Svg& svg, const TimeAxis& axis, double top, double bottom) {
  svg.Line(kLeft, bottom, kLeft + kPlotWidth, bottom, "axis");
  if (axis.whole_ms() <= 0) return;
  const double step = NiceStep(axis.whole_ms(), 6);
  for (int k = 0; k * step <= axis.whole_ms(); ++k) {
    const double x = axis.X(k * step * 1e-3);
    svg.Line(x, top, x, bottom + 4, "grid");
    svg.Text(x, bottom + 16, "middle", fmt::format("{:g} ms", k * step));
  }
}

void DrawByteTicks(Svg& svg, const Panel& panel) {
  Bytes unit = 1;
  while (unit < (Bytes{1} << 40) && panel.bytes / unit >= 1024) unit *= 1024;
  const double step = NiceStep(static_cast<double>(panel.bytes) / static_cast<double>(unit), 4) *
                      static_cast<double>(unit);
  for (int k = 0; k * step <= static_cast<double>(panel.bytes); ++k) {
    const auto bytes = static_cast<Bytes>(k * step);
    svg.Line(kLeft - 4, panel.Y(bytes), kLeft + kPlotWidth, panel.Y(bytes), "grid");
    svg.Text(kLeft - 8, panel.Y(bytes) + 4, "right", FormatBytes(bytes));
  }
  svg.Line(kLeft, panel.top, kLeft, panel.top + panel.height, "axis");
}

void DrawBuffers(Svg& svg, const plan::Plan& plan, const Explanation& e, const TimeAxis& axis,
                 const Panel& panel) {
  for (const BufferLife& life : e.memory.buffers) {
    const plan::Buffer& buffer = plan.buffers(life.buffer);
    if (buffer.tier() != panel.tier || buffer.size() == 0) continue;
    const double x = axis.Begin(life.begin);
    const double y = panel.Y(buffer.offset() + buffer.size());
    const std::string when =
        buffer.program() == -1 ? "always live" : fmt::format("live [{}, {})", life.begin, life.end);
    svg.Rectangle({.x = x,
                   .y = y,
                   .width = std::max(axis.Begin(life.end) - x, 0.3),
                   .height = panel.Y(buffer.offset()) - y},
                  BufferUseName(life.use),
                  fmt::format("{}\n{}, {}, {}, offset {}", life.name, FormatBytes(buffer.size()),
                              BufferUseName(life.use), when, buffer.offset()));
  }
}

// The sum of what is live, and where it is largest.
void DrawLive(Svg& svg, const TierTimeline& tier, const TimeAxis& axis, const Panel& panel) {
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < tier.live.size(); ++i) {
    const double y = panel.Y(tier.live[i]);
    points.emplace_back(axis.Begin(static_cast<int>(i)), y);
    points.emplace_back(axis.Begin(static_cast<int>(i) + 1), y);
  }
  if (points.empty()) return;
  svg.Polyline(points, "live");
  const double x = (axis.Begin(tier.peak_at) + axis.Begin(tier.peak_at + 1)) / 2;
  svg.Line(x, panel.top - 6, x, panel.top + panel.height, "peak");
  svg.Text(x, panel.top - 9, "middle",
           fmt::format("peak {} at {}", FormatBytes(tier.peak), tier.peak_at));
}

void DrawPanel(Svg& svg, const plan::Plan& plan, const Explanation& e, const TimeAxis& axis,
               const Panel& panel) {
  DrawTimeTicks(svg, axis, panel.top, panel.top + panel.height);
  DrawByteTicks(svg, panel);
  DrawBuffers(svg, plan, e, axis, panel);
  DrawLive(svg, e.memory.tiers[static_cast<size_t>(panel.tier)], axis, panel);
  svg.Text(kLeft, panel.top - 9, "",
           fmt::format("{} memory, {} arena", TierName(panel.tier), FormatBytes(panel.bytes)));
}

void DrawLanes(Svg& svg, const plan::Program& program, const Timeline& timeline,
               const TimeAxis& axis, double top) {
  std::array<double, plan::Lane_ARRAYSIZE> rows = {};
  double bottom = top;
  for (size_t lane = 0; lane < rows.size(); ++lane) {
    if (timeline.lanes[lane].instructions == 0) continue;
    rows[lane] = bottom;
    bottom += kLaneHeight;
    svg.Text(kLeft - 8, rows[lane] + kLaneHeight - 6, "right",
             LaneName(static_cast<plan::Lane>(lane)));
  }
  DrawTimeTicks(svg, axis, top, bottom);
  for (int i = 0; i < program.instructions_size(); ++i) {
    const plan::Instruction& instruction = program.instructions(i);
    if (instruction.has_barrier()) continue;
    const Span& span = timeline.spans[static_cast<size_t>(i)];
    svg.Rectangle({.x = axis.X(span.start),
                   .y = rows[static_cast<size_t>(instruction.lane())] + 2,
                   .width = axis.X(span.end) - axis.X(span.start),
                   .height = kLaneHeight - 4},
                  PhaseName(instruction.phase()),
                  fmt::format("{} {} '{}'\n{:.3f} ms", i, KindName(instruction), instruction.name(),
                              (span.end - span.start) * 1e3));
  }
}

void DrawLegend(Svg& svg) {
  double x = kLeft;
  for (int use = 0; use < kBufferUses; ++use) {
    const std::string_view name = BufferUseName(static_cast<BufferUse>(use));
    svg.Rectangle({.x = x, .y = 34, .width = 12, .height = 12}, name, "");
    svg.Text(x + 16, 44, "", name);
    x += 100;
  }
}

}  // namespace

std::string MemorySvg(const plan::Plan& plan, const plan::Rates& rates, const Explanation& e) {
  const plan::Program& program = plan.programs(e.program);
  const TimeAxis axis(e.timeline);
  std::vector<Panel> panels;
  double y = kTop;
  for (size_t tier = 0; tier < e.memory.tiers.size(); ++tier) {
    const Bytes arena = e.memory.tiers[tier].arena;
    if (arena == 0) continue;
    panels.push_back({static_cast<plan::Tier>(tier), y + 10, kPanelHeights[tier], arena});
    y += kPanelHeights[tier] + kGap;
  }
  const auto lanes = std::count_if(e.timeline.lanes.begin(), e.timeline.lanes.end(),
                                   [](const LaneTotals& lane) { return lane.instructions > 0; });
  Svg svg(kWidth, y + static_cast<double>(lanes) * kLaneHeight + 30, kStyle);
  svg.Text(
      kLeft, 22, "title",
      fmt::format("{} of {}: {:.3f} ms a step predicted with the rates of {}", program.name(),
                  plan.provenance().model_name(), e.timeline.step_seconds * 1e3, rates.device()));
  DrawLegend(svg);
  for (const Panel& panel : panels) DrawPanel(svg, plan, e, axis, panel);
  DrawLanes(svg, program, e.timeline, axis, y);
  return std::move(svg).Finish();
}

}  // namespace wsi
