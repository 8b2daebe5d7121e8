// The lanes of a step in the Trace Event Format, which chrome://tracing and
// ui.perfetto.dev show. Format: "Trace Event Format", Google, 2016.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/plan/plan.pb.h"
#include "runtime/timing/simulate.h"

namespace wsi {

// Traces may be shown together: each has a process of its own.
enum class TraceKind { kPredicted = 1, kMeasured = 2 };

// One JSON object: a track for each lane with an event for each instruction that ran
// (microseconds), and live bytes by tier as counters.
// REQUIRES: spans[i] is that of instruction i of the program; the plan has passed
// VerifyPlan.
std::string TraceJson(const plan::Plan& plan, int program, std::span<const Span> spans,
                      TraceKind kind);

}  // namespace wsi
