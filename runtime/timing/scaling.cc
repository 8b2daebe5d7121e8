#include "runtime/timing/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/plan/plan_types.h"
#include "runtime/timing/all_reduce_time.h"
#include "runtime/timing/simulate.h"

namespace wsi {
namespace {

// What the trainer has all ranks agree on in a micro-step, each a few bytes: whether all have
// a batch, then the losses with their lengths (Trainer::NextBatch, ShareLoss).
constexpr int kAgreements = 3;
constexpr Bytes kAgreementBytes = 24;

int64_t MicroSteps(const plan::Plan& plan, const plan::Program& program) {
  return program.name() == "train" ? std::max(plan.training().accumulation_steps(), 1) : 1;
}

int64_t BatchOf(const plan::Plan& plan, const plan::Program& program) {
  if (program.inputs().empty()) return 1;
  const plan::Value& input = plan.values(program.inputs(0));
  return input.dims().empty() ? 1 : input.dims(0);
}

ScalingRow PredictRow(const plan::Plan& plan, const plan::Program& program,
                      const plan::Rates& rates, int ranks) {
  const Timeline last = SimulateProgram(plan, program, rates, {.ranks = ranks});
  const int64_t micro_steps = MicroSteps(plan, program);
  const double agreements =
      static_cast<double>(micro_steps * kAgreements) *
      AllReduceSeconds(kAgreementBytes, ranks, LinkOf(rates), AllReduceOrder::kAny);
  ScalingRow row = {.ranks = ranks, .samples = ranks * micro_steps * BatchOf(plan, program)};
  row.step_seconds = last.step_seconds + agreements;
  row.collective_seconds = last.lanes[plan::LANE_COMM].busy_seconds + agreements;
  if (micro_steps > 1) {
    const Timeline first = SimulateProgram(plan, program, rates, {.ranks = ranks, .update = false});
    row.step_seconds += static_cast<double>(micro_steps - 1) * first.step_seconds;
  }
  return row;
}

void CountCollectives(const plan::Plan& plan, const plan::Program& program, Scaling& scaling) {
  for (const plan::Instruction& instruction : program.instructions()) {
    if (!instruction.has_collective()) continue;
    ++scaling.collectives;
    const Result<Bytes> sum =
        CheckedAdd(scaling.collective_bytes, CollectiveBytes(plan, instruction.collective()));
    scaling.collective_bytes = sum.ok() ? *sum : std::numeric_limits<Bytes>::max();
  }
}

}  // namespace

Scaling PredictScaling(const plan::Plan& plan, int program, const plan::Rates& rates,
                       std::span<const int> worlds) {
  const plan::Program& p = plan.programs(program);
  Scaling scaling = {.program = program, .micro_steps = MicroSteps(plan, p)};
  CountCollectives(plan, p, scaling);
  scaling.one_rank_seconds = PredictRow(plan, p, rates, 1).step_seconds;
  for (const int ranks : worlds) {
    ScalingRow row = PredictRow(plan, p, rates, ranks);
    row.exposed_seconds = row.step_seconds - scaling.one_rank_seconds;
    if (row.step_seconds > 0) row.efficiency = scaling.one_rank_seconds / row.step_seconds;
    scaling.rows.push_back(row);
  }
  return scaling;
}

std::string ScalingText(const plan::Plan& plan, const plan::Rates& rates, const Scaling& scaling) {
  const RankLink link = LinkOf(rates);
  std::string out = fmt::format(
      "{} of {} on ranks with {:.3g} GB/s each way and {:.3g} us a message between them; rates of "
      "{}\n"
      "step of one rank: {:.3f} ms, {} micro-steps; {} in {} collectives\n\n"
      "{:>7} {:>12} {:>12} {:>15} {:>12} {:>11} {:>12}\n",
      plan.programs(scaling.program).name(), plan.provenance().model_name(),
      link.bytes_per_second / 1e9, link.latency_seconds * 1e6, rates.device(),
      scaling.one_rank_seconds * 1e3, scaling.micro_steps, FormatBytes(scaling.collective_bytes),
      scaling.collectives, "ranks", "slides/step", "step ms", "collectives ms", "exposed ms",
      "efficiency", "slides/s");
  for (const ScalingRow& row : scaling.rows) {
    fmt::format_to(std::back_inserter(out),
                   "{:>7} {:>12} {:>12.3f} {:>15.3f} {:>12.3f} {:>9.1f} % {:>12.2f}\n", row.ranks,
                   row.samples, row.step_seconds * 1e3, row.collective_seconds * 1e3,
                   row.exposed_seconds * 1e3, row.efficiency * 100,
                   static_cast<double>(row.samples) / row.step_seconds);
  }
  return out;
}

std::string ScalingJson(const plan::Plan& plan, const plan::Rates& rates, const Scaling& scaling) {
  using Json = nlohmann::ordered_json;
  const RankLink link = LinkOf(rates);
  Json rows = Json::array();
  for (const ScalingRow& row : scaling.rows) {
    rows.push_back({{"ranks", row.ranks},
                    {"slides_per_step", row.samples},
                    {"step_ms", row.step_seconds * 1e3},
                    {"collective_ms", row.collective_seconds * 1e3},
                    {"exposed_ms", row.exposed_seconds * 1e3},
                    {"efficiency", row.efficiency}});
  }
  const Json json = {{"program", plan.programs(scaling.program).name()},
                     {"rates", rates.device()},
                     {"link_bytes_per_second", link.bytes_per_second},
                     {"link_seconds", link.latency_seconds},
                     {"micro_steps", scaling.micro_steps},
                     {"collectives", scaling.collectives},
                     {"collective_bytes", scaling.collective_bytes},
                     {"one_rank_step_ms", scaling.one_rank_seconds * 1e3},
                     {"scaling", rows}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wsi
