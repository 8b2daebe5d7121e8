#include "passes/fit_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "passes/residency_model.h"

namespace wsi {
namespace {

// How often the goal is lowered before the budget is given up.
constexpr int kTries = 12;
// Deferred updates may cost so much of an arena without a budget, by holes between buffers.
constexpr Bytes kDeferringShare = 100;

constexpr size_t kDevice = static_cast<size_t>(Tier::kDevice);
constexpr size_t kHost = static_cast<size_t>(Tier::kHost);

class Fitter {
 public:
  // `device_limit`: the budget that the device's arena shall fit, whatever `options` plan with.
  Fitter(std::span<const Graph* const> scheduled, const MemoryOptions& options, Bytes device_limit,
         const RunMemoryPasses& run, const RunPlacingPasses& place)
      : scheduled_(scheduled),
        options_(options),
        device_limit_(device_limit),
        run_(run),
        place_(place) {}

  Result<FittedMemory> Fit(const std::set<std::string, std::less<>>& homed);

 private:
  Status Place(FittedMemory& fitted);
  Result<Graph> PlaceProgram(size_t program, const Graph& planned, const AssignOptions& options);
  bool MayReplace(const Graph& plain, const Graph& deferred) const;
  bool Lower(FittedMemory& fitted, std::vector<bool>& is_stale) const;

  std::span<const Graph* const> scheduled_;
  const MemoryOptions& options_;
  Bytes device_limit_;
  const RunMemoryPasses& run_;
  const RunPlacingPasses& place_;
};

Status Fitter::Place(FittedMemory& fitted) {
  std::vector<const Graph*> graphs;
  for (const Graph& graph : fitted.graphs) graphs.push_back(&graph);
  WSI_ASSIGN_OR_RETURN(const PersistentLayout persistents, LayOutPersistents(graphs));
  const AssignOptions options = {
      .persistents = persistents,
      .good_enough = {options_.device_budget, options_.host_budget, options_.file_budget}};
  for (size_t i = 0; i < fitted.graphs.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(fitted.graphs[i], PlaceProgram(i, fitted.graphs[i], options));
  }
  return {};
}

Result<Graph> Fitter::PlaceProgram(size_t program, const Graph& planned,
                                   const AssignOptions& options) {
  const auto place = [&](bool defers) {
    return place_(program, planned, {.assign = options, .defers = defers});
  };
  WSI_ASSIGN_OR_RETURN(Graph plain, place(false));
  const bool fits = device_limit_ == 0 || plain.device_bytes() <= device_limit_;
  if (planned.updates.empty() || !fits) return plain;
  WSI_ASSIGN_OR_RETURN(Graph deferred, place(true));
  // Again, for the dumps show what ran last.
  return MayReplace(plain, deferred) ? std::move(deferred) : place(false);
}

bool Fitter::MayReplace(const Graph& plain, const Graph& deferred) const {
  const Bytes device = plain.arena_bytes[kDevice];
  const Bytes allowed =
      device_limit_ > 0 ? std::max(device, device_limit_) : device + device / kDeferringShare;
  const bool is_host_larger = deferred.arena_bytes[kHost] > plain.arena_bytes[kHost];
  return deferred.arena_bytes[kDevice] <= allowed && (options_.host_budget == 0 || !is_host_larger);
}

// Takes part of what is too much off the goals of the programs that need it: holes change
// from plan to plan. False where all fit.
bool Fitter::Lower(FittedMemory& fitted, std::vector<bool>& is_stale) const {
  bool any = false;
  for (size_t i = 0; i < fitted.graphs.size(); ++i) {
    MemoryOptions& goal = fitted.goals[i].options;
    const Bytes device = fitted.graphs[i].arena_bytes[kDevice] - options_.device_budget;
    const Bytes host = fitted.graphs[i].arena_bytes[kHost] - options_.host_budget;
    is_stale[i] =
        (options_.device_budget > 0 && device > 0) || (options_.host_budget > 0 && host > 0);
    any = any || is_stale[i];
    if (options_.device_budget > 0 && device > 0) {
      goal.device_budget = std::max<Bytes>(goal.device_budget - CeilDiv(device, 2), 1);
    }
    if (options_.host_budget > 0 && host > 0) {
      goal.host_budget = std::max<Bytes>(goal.host_budget - CeilDiv(host, 2), 1);
    }
  }
  return any;
}

Result<FittedMemory> Fitter::Fit(const std::set<std::string, std::less<>>& homed) {
  FittedMemory fitted;
  std::vector<bool> is_stale(scheduled_.size(), true);
  std::vector<Graph> planned;  // Ahead of assign.
  std::vector<std::vector<GapChoice>> memories(scheduled_.size());
  for (std::vector<GapChoice>& memory : memories) {
    fitted.goals.push_back({options_, homed, &memory});
  }
  for (const Graph* graph : scheduled_) planned.push_back(*graph);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    for (size_t i = 0; i < scheduled_.size(); ++i) {
      if (!is_stale[i]) continue;
      WSI_ASSIGN_OR_RETURN(planned[i], run_(i, fitted.goals[i]));
    }
    fitted.graphs = planned;
    WSI_RETURN_IF_ERROR(Place(fitted));
    if (!Lower(fitted, is_stale)) {
      for (MemoryGoal& goal : fitted.goals) goal.memory = nullptr;
      return fitted;
    }
  }
  Bytes needed = 0;
  for (const Graph& graph : fitted.graphs) needed = std::max(needed, graph.device_bytes());
  return ResourceError(
      fmt::format("does not fit: the device arena comes out at {}, limit {}; try --device-mem {}B",
                  FormatBytes(needed), FormatBytes(options_.device_budget), needed));
}

}  // namespace

Result<FittedMemory> FitMemory(std::span<const Graph* const> scheduled,
                               const MemoryOptions& options, const RunMemoryPasses& run,
                               const RunPlacingPasses& place) {
  // What fits as it is needs no plan.
  MemoryOptions resident = options;
  resident.device_budget = 0;
  WSI_ASSIGN_OR_RETURN(FittedMemory as_it_is,
                       Fitter(scheduled, resident, options.device_budget, run, place).Fit({}));
  const bool is_resident =
      std::all_of(as_it_is.graphs.begin(), as_it_is.graphs.end(), [&](const Graph& graph) {
        return options.device_budget == 0 || graph.device_bytes() <= options.device_budget;
      });
  if (is_resident) return as_it_is;
  // Where the fast plans that were found leave holes that are too large, the plan that asks
  // for the least memory may still fit.
  MemoryOptions least = options;
  least.first_fit = true;
  const auto fit = [&](const std::set<std::string, std::less<>>& homed) {
    const auto fit_with = [&](const MemoryOptions& goal) {
      return Fitter(scheduled, goal, options.device_budget, run, place).Fit(homed);
    };
    Result<FittedMemory> found = fit_with(options);
    const bool is_short = !found.ok() && found.status().code() == ErrorCode::kResources;
    return is_short && !options.first_fit ? fit_with(least) : std::move(found);
  };
  Result<FittedMemory> fitted = fit({});
  const bool may_home = options.offload && !options.keep_state && options.device_budget > 0;
  if (fitted.ok() || !may_home || fitted.status().code() != ErrorCode::kResources) return fitted;
  std::set<std::string, std::less<>> homed;
  for (const Graph* graph : scheduled) {
    homed.merge(HomeableValues(*graph, SmallestMoved(options.device_budget)));
  }
  if (homed.empty()) return fitted;
  return fit(homed);
}

Result<Bytes> SmallestDeviceBudget(std::span<const Graph* const> scheduled,
                                   const MemoryOptions& options, const RunMemoryPasses& run,
                                   const RunPlacingPasses& place) {
  MemoryOptions tried = options;
  tried.first_fit = true;
  const auto fits = [&](Bytes budget) -> Result<bool> {
    tried.device_budget = budget;
    const Result<FittedMemory> fitted = FitMemory(scheduled, tried, run, place);
    if (!fitted.ok() && fitted.status().code() != ErrorCode::kResources) return fitted.status();
    return fitted.ok();
  };
  Bytes low = 0;   // Does not fit.
  Bytes high = 1;  // Fits.
  tried.device_budget = 0;
  WSI_ASSIGN_OR_RETURN(const FittedMemory resident, FitMemory(scheduled, tried, run, place));
  for (const Graph& graph : resident.graphs) high = std::max(high, graph.device_bytes());
  while (high - low > high / 100) {
    const Bytes middle = AlignUp(low + (high - low) / 2, kBufferAlignment);
    WSI_ASSIGN_OR_RETURN(const bool is_enough, fits(middle));
    (is_enough ? high : low) = middle;
    if (high - low <= kBufferAlignment) break;
  }
  return high;
}

}  // namespace wsi
