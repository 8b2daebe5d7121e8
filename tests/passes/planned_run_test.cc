// Random training steps through the planner at random budgets and then through
// verifier and executor: the same bits as with everything resident, and never
// more memory than allowed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/text.h"
#include "passes/assign.h"
#include "passes/defer.h"
#include "passes/fit_memory.h"
#include "passes/lower.h"
#include "passes/residency_model.h"
#include "passes/schedule.h"
#include "passes/spill.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan_types.h"
#include "runtime/plan/verify_plan.h"
#include "runtime/timing/rates.h"
#include "tests/base/temp_folder.h"
#include "tests/passes/random_step.h"

namespace wsi {
namespace {

constexpr Bytes kSmallest = 256;  // Of values that may leave the device.

// By step and name.
using Results = std::map<std::string, Tensor>;

// Files that no test needs to find after a power cut.
class Volatile : public FileOps {
 public:
  int Sync(int) override { return 0; }
};

class PlannedRun : public testing::Test {
 protected:
  // What a step without and one with the update leave behind.
  Result<Results> Execute(const LoweredPlan& lowered, bool poison) {
    const std::string path = folder_.Path("step.plan");
    std::filesystem::remove(path);  // Some file systems flush what is replaced.
    WSI_RETURN_IF_ERROR(WritePlan(path, lowered.plan, [&](int i) { return lowered.Data(i); },
                                  {.force = true, .ops = &ops_}));
    WSI_ASSIGN_OR_RETURN(const PlanFile file, ReadPlan(path));
    WSI_ASSIGN_OR_RETURN(
        const std::unique_ptr<Executor> executor,
        Executor::Make(&file, backend_.get(),
                       {.poison = poison, .spill = {.folder = folder_.Path(".")}}));
    const plan::Plan& plan = executor->plan();
    for (int i = 0; i < plan.persistents_size(); ++i) {
      const std::string& name = plan.persistents(i).onnx_name();
      WSI_RETURN_IF_ERROR(executor->WritePersistent(
          i, Numbers(plan.values(plan.persistents(i).value()), 3 * name.back())));
    }
    Results results;
    for (const Phases phases : {kNoUpdate, kAllPhases}) {
      const std::string step = phases.update ? "update " : "no update ";
      executor->SetScalar("lr", 0.25);
      WSI_RETURN_IF_ERROR(
          executor->WriteInput(0, 0, Numbers(plan.values(plan.programs(0).inputs(0)), 5)));
      WSI_RETURN_IF_ERROR(executor->Run(0, phases).status());
      WSI_ASSIGN_OR_RETURN(results[step + "output"], executor->ReadOutput(0, 0));
      for (int i = 0; i < plan.persistents_size(); ++i) {
        WSI_ASSIGN_OR_RETURN(results[step + plan.persistents(i).onnx_name()],
                             executor->ReadPersistent(i));
      }
    }
    return results;
  }

  static Tensor Numbers(const plan::Value& value, int from) {
    Tensor tensor = Tensor::Make(DType::kF32, ValueShape(value)).value();
    for (float& x : tensor.data<float>()) x = 0.0625F * static_cast<float>(from++ % 19 - 9);
    return tensor;
  }

  Result<Graph> RunMemoryPasses(const Graph& scheduled, const MemoryGoal& goal) {
    const MemoryOptions& m = goal.options;
    Graph graph = scheduled;
    const bool timed = m.prefetch == PrefetchMode::kTimed;
    WSI_RETURN_IF_ERROR(PlanResidency(graph,
                                      {.device_budget = m.device_budget,
                                       .host_budget = m.file_budget > 0 ? 0 : m.host_budget,
                                       .recompute = m.recompute,
                                       .offload = m.offload,
                                       .copies = timed ? CopyMode::kTimed : CopyMode::kDemand,
                                       .first_fit = m.first_fit,
                                       .smallest = kSmallest,
                                       .homed = goal.homed,
                                       .rates = m.rates,
                                       .memory = goal.memory},
                                      context_)
                            .status());
    graph.Compact();
    WSI_RETURN_IF_ERROR(
        GroupOperators(
            graph, {.rule = m.groups, .device_budget = m.device_budget, .rates = m.rates}, context_)
            .status());
    WSI_RETURN_IF_ERROR(PrefetchCopies(graph,
                                       {.device_budget = m.device_budget,
                                        .mode = m.prefetch,
                                        .ahead = m.ahead,
                                        .rates = m.rates},
                                       context_)
                            .status());
    WSI_RETURN_IF_ERROR(
        SpillToFile(graph,
                    {.host_budget = m.host_budget, .file_budget = m.file_budget, .rates = m.rates},
                    context_)
            .status());
    graph.Compact();
    return graph;
  }

  struct PlanChoices {
    bool homes = false;
    bool defers = true;
  };
  Result<LoweredPlan> Plan(const Graph& scheduled, const MemoryOptions& options,
                           PlanChoices choices, int* deferred = nullptr) {
    const Graph* programs[] = {&scheduled};
    WSI_ASSIGN_OR_RETURN(
        const FittedMemory fitted,
        FitMemory(
            programs, options,
            [&](size_t, MemoryGoal goal) {
              if (choices.homes) goal.homed = HomeableValues(scheduled, kSmallest);
              return RunMemoryPasses(scheduled, goal);
            },
            [&](size_t, Graph graph, const Placing& placing) -> Result<Graph> {
              const DeferOptions defer = {.updates = placing.defers && choices.defers};
              WSI_ASSIGN_OR_RETURN(const bool moved, DeferUpdates(graph, defer, context_));
              if (moved && deferred != nullptr) ++*deferred;
              WSI_RETURN_IF_ERROR(AssignBuffers(graph, placing.assign, context_).status());
              return graph;
            }));
    const ProgramSource sources[] = {{"train", &fitted.graphs[0]}};
    WSI_ASSIGN_OR_RETURN(LoweredPlan lowered, LowerToPlan(sources));
    lowered.plan.set_device("cpu");
    return lowered;
  }

  // Any way to keep within the budget.
  MemoryOptions AnyOptions(std::mt19937_64& random, Bytes budget) const {
    const auto below = [&](uint64_t n) { return random() % n; };
    MemoryOptions options;
    options.device_budget = budget;
    options.rates = rates_;
    options.prefetch = static_cast<PrefetchMode>(below(3));
    options.groups = options.prefetch == PrefetchMode::kGroup ? static_cast<GroupRule>(1 + below(2))
                                                              : static_cast<GroupRule>(below(3));
    options.recompute = below(4) != 0;
    options.offload = below(4) != 0 || !options.recompute;
    options.ahead = below(3) != 0;
    options.first_fit = below(2) == 0;
    if (below(2) == 0) {
      options.host_budget = static_cast<Bytes>(4096 * (1 + below(6)));
      options.file_budget = Bytes{1} << 30;
    }
    return options;
  }

  struct Tally {
    int graphs = 0, fitted = 0, homed = 0, finite = 0, deferred = 0;
    std::map<plan::Lane, int> copies;
  };
  void Try(uint64_t seed, int nodes, Tally& tally);

  TempFolder folder_;
  Volatile ops_;
  PassContext context_;
  std::unique_ptr<Backend> backend_ = MakeCpuBackend({.threads = 1});
  plan::Rates rates_ = BuiltInRates("cpu").value();
};

bool AllFinite(const Results& results) {
  for (const auto& [name, tensor] : results) {
    for (const double x : tensor.ToDoubles()) {
      if (!std::isfinite(x)) return false;
    }
  }
  return true;
}

void PlannedRun::Try(uint64_t seed, int nodes, Tally& tally) {
  std::mt19937_64 random(seed);
  TensorStore tensors;
  Graph graph = MakeRandomStep(seed, nodes, &tensors);
  ASSERT_TRUE(ScheduleNodes(graph, {}, context_).ok());
  graph.Compact();
  const LoweredPlan resident = Plan(graph, {.rates = rates_}, {.defers = false}).value();
  const Result<Results> wanted = Execute(resident, false);
  ASSERT_TRUE(wanted.ok()) << wanted.status().message();
  ++tally.graphs;
  tally.finite += AllFinite(*wanted) ? 1 : 0;
  for (int i = 0; i < 2; ++i) {
    const Bytes budget =
        resident.plan.device_peak_bytes() * static_cast<Bytes>(40 + random() % 60) / 100;
    const MemoryOptions options = AnyOptions(random, budget);
    const Result<LoweredPlan> planned =
        Plan(graph, options, {.homes = random() % 2 == 0}, &tally.deferred);
    if (!planned.ok()) {
      ASSERT_EQ(planned.status().code(), ErrorCode::kResources)
          << "seed " << seed << ": " << planned.status().message();
      continue;
    }
    ++tally.fitted;
    const plan::Plan& plan = planned->plan;
    ASSERT_LE(plan.device_peak_bytes(), budget) << "seed " << seed;
    ASSERT_EQ(VerifyPlan(plan).message(), "") << "seed " << seed << ", try " << i;
    for (const plan::Instruction& instruction : plan.programs(0).instructions()) {
      tally.copies[instruction.lane()] += instruction.has_copy() ? 1 : 0;
    }
    for (const plan::Persistent& persistent : plan.persistents()) {
      const plan::Buffer& buffer = plan.buffers(plan.values(persistent.value()).buffer());
      tally.homed += buffer.tier() == plan::TIER_HOST ? 1 : 0;
    }
    for (const bool poison : {true, false}) {
      const Result<Results> found = Execute(*planned, poison);
      ASSERT_TRUE(found.ok()) << "seed " << seed << ": " << found.status().message();
      EXPECT_GT(found->size(), 2U);
      // What nothing uses is in no plan.
      for (const auto& [name, tensor] : *found) {
        ASSERT_TRUE(tensor == wanted->at(name))
            << "seed " << seed << ", try " << i << ", poison " << poison << ", " << name;
      }
    }
  }
}

uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// WSI_RANDOM_GRAPHS=5000 tries as many, WSI_RANDOM_SEED is the first one's.
TEST_F(PlannedRun, GivesTheBitsOfTheResidentOne) {
  const uint64_t first = Setting("WSI_RANDOM_SEED", 0);
  const uint64_t graphs = Setting("WSI_RANDOM_GRAPHS", 20);
  Tally tally;
  for (uint64_t seed = first; seed < first + graphs && !HasFatalFailure(); ++seed) {
    const int nodes = seed % 50 == 49 ? 300 : 6 + static_cast<int>(seed * 7 % 90);
    Try(seed, nodes, tally);
  }
  std::cout << tally.graphs << " graphs, " << tally.fitted << " plans that fit, " << tally.homed
            << " homes on the host, " << tally.deferred << " times updates deferred, "
            << tally.copies[plan::LANE_IN] << " copies in, " << tally.copies[plan::LANE_WRITE]
            << " to the file\n";
  EXPECT_GT(tally.fitted, tally.graphs / 2);
  EXPECT_GT(tally.homed, 0);
  EXPECT_GT(tally.deferred, 0);
  EXPECT_GT(tally.copies[plan::LANE_IN], tally.graphs);
  EXPECT_GT(tally.copies[plan::LANE_WRITE], 0);
  EXPECT_GT(tally.finite, tally.graphs / 2);
}

}  // namespace
}  // namespace wsi
