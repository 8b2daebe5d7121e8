#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stack>

#include "runtime/timing/memory_svg.h"
#include "runtime/timing/svg.h"
#include "runtime/timing/trace.h"
#include "tests/plan/small_plan.h"
#include "tests/timing/schedule.h"

namespace wsi {
namespace {

using testing::HasSubstr;

// Why `text` is no well-formed XML of elements, attributes and text, or "".
std::string XmlProblem(const std::string& text) {
  std::stack<std::string> open;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '&') {
      const size_t end = text.find(';', at);
      if (end == std::string::npos || end - at > 5) return "bare ampersand";
    }
    if (text[at] == '>') return "bare >";
    if (static_cast<unsigned char>(text[at]) < 0x20 && text[at] != '\n') return "control character";
    if (text[at++] != '<') continue;
    const size_t end = text.find('>', at);
    if (end == std::string::npos) return "tag without end";
    const std::string tag = text.substr(at, end - at);
    at = end + 1;
    if (tag.find('<') != std::string::npos) return "tag in a tag";
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "odd quotes in " + tag;
    const std::string name =
        tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" /", 1) - (tag[0] == '/' ? 1 : 0));
    if (tag[0] == '/') {
      if (open.empty() || open.top() != tag.substr(1)) return "closes " + tag;
      open.pop();
    } else if (!tag.ends_with('/')) {
      open.push(name);
    }
  }
  return open.empty() ? "" : "open " + open.top();
}

std::string SvgOf(const plan::Plan& plan) {
  return MemorySvg(plan, UnitRates(), Explain(plan, 0, UnitRates()));
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(MemorySvg, DrawsEveryBufferAndInstruction) {
  const std::string svg = SvgOf(MakeSmallPlan());
  EXPECT_EQ(XmlProblem(svg), "");
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_EQ(Count(svg, "<title>"), 12U + 8U);  // The barrier is none.
  EXPECT_THAT(svg, HasSubstr("device memory, 2.3 KiB arena"));
  EXPECT_THAT(svg, HasSubstr("host memory, 24 B arena"));
  EXPECT_THAT(svg, Not(HasSubstr("file memory")));
  EXPECT_THAT(svg,
              HasSubstr("class=\"parameter\"><title>w\n24 B, parameter, always live, offset 0"));
  EXPECT_THAT(svg, HasSubstr("peak 148 B at 3"));
}

TEST(MemorySvg, NamesAreText) {
  plan::Plan plan = MakeSmallPlan();
  plan.mutable_values(ValueIndex(plan, "w"))->set_name("</title><script>&\"\x01");
  const std::string svg = SvgOf(plan);
  EXPECT_EQ(XmlProblem(svg), "");
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("&lt;/title&gt;&lt;script&gt;&amp;&quot;?"));
}

TEST(MemorySvg, ProgramsWithoutTimeOrInstructionsAreDrawn) {
  EXPECT_EQ(XmlProblem(SvgOf(Schedule().plan())), "");
  EXPECT_EQ(XmlProblem(SvgOf(Schedule().Launch(0).plan())), "");
}

TEST(Svg, TheTestsOwnCheckFindsProblems) {
  EXPECT_EQ(XmlProblem("<a b=\"c\"><d/>x&amp;y</a>"), "");
  for (const char* bad :
       {"<a>", "<a></b>", "<a>&</a>", "<a b=\"c></a>", "<a>></a>", "<a>\x01</a>", "<a"}) {
    EXPECT_NE(XmlProblem(bad), "") << bad;
  }
}

TEST(Trace, HasATrackForEachLane) {
  const plan::Plan plan = MakeSmallPlan();
  const Timeline t = SimulateProgram(plan, plan.programs(0), UnitRates());
  const auto trace = nlohmann::json::parse(TraceJson(plan, 0, t.spans, TraceKind::kPredicted));
  std::vector<std::string> tracks;
  std::vector<nlohmann::json> complete;
  std::vector<nlohmann::json> counters;
  for (const auto& event : trace["traceEvents"]) {
    EXPECT_EQ(event["pid"], 1);
    if (event["name"] == "thread_name") tracks.push_back(event["args"]["name"]);
    if (event["ph"] == "X") complete.push_back(event);
    if (event["ph"] == "C") counters.push_back(event);
  }
  EXPECT_THAT(tracks, testing::ElementsAre("compute", "in", "out"));
  ASSERT_EQ(complete.size(), 8U);
  EXPECT_EQ(complete[1]["name"], "copy_x");
  EXPECT_EQ(complete[1]["tid"], plan::LANE_OUT);
  EXPECT_EQ(complete[1]["args"]["bytes"], 24);
  EXPECT_EQ(complete[2]["ts"], 48e6);
  EXPECT_EQ(complete[2]["dur"], 48e6);
  EXPECT_EQ(complete[2]["cat"], "forward");
  EXPECT_EQ(complete[2]["args"]["op"], "Sub");
  EXPECT_EQ(complete[2]["args"]["flops"], 6);
  EXPECT_EQ(complete[2]["args"]["instruction"], 2);
  ASSERT_EQ(counters.size(), 9U);
  EXPECT_EQ(counters[3]["args"]["device"], 148);
  EXPECT_EQ(counters[3]["ts"], 96e6);
}

TEST(Trace, LeavesOutWhatDidNotRun) {
  const plan::Plan plan = MakeSmallPlan();
  std::vector<Span> spans(9, {0.5, 0.75});
  spans[7] = {-1, -1};
  const auto trace = nlohmann::json::parse(TraceJson(plan, 0, spans, TraceKind::kMeasured));
  int complete = 0;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "X") ++complete;
    EXPECT_EQ(event["pid"], 2);
  }
  EXPECT_EQ(complete, 7);
}

}  // namespace
}  // namespace wsi
