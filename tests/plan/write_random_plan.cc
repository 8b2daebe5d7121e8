// write_random_plan SEED PLAN: a random plan of whole pages with a file tier, for tests of
// the programs.
#include <cstdio>
#include <cstdlib>

#include "runtime/plan/plan.pb.h"
#include "tests/plan/random_plan.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const wsi::plan::Plan plan = wsi::MakeRandomPlan({.seed = std::strtoull(argv[1], nullptr, 10),
                                                    .steps = 40,
                                                    .widths = 1,
                                                    .unit = 1024,
                                                    .file_alignment = 4096});
  const wsi::Status status =
      wsi::WritePlan(argv[2], plan, wsi::RandomPlanData(plan), {.force = true});
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  std::printf("%lld\n", static_cast<long long>(plan.file_peak_bytes()));
  return wsi::ExitCode(status.code());
}
