#include "tests/backends/random_cases.h"

#include <fmt/format.h>

namespace wsi {
namespace {

int64_t RunSeed() { return NumberFromEnvironment("WSI_RANDOM_SEED", 20240229); }

// Spreads the three over the seeds, so that cases of neighbours have nothing in common.
uint64_t SeedOf(std::string_view op, int64_t number) {
  uint64_t seed = static_cast<uint64_t>(RunSeed());
  for (const char c : op) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return (seed ^ static_cast<uint64_t>(number)) * 0x9E3779B97F4A7C15U;
}

}  // namespace

std::vector<RandomOp> RandomOps() {
  std::vector<RandomOp> ops;
  AddPointwiseDraws(ops);
  AddMovementDraws(ops);
  AddAlongAxisDraws(ops);
  AddWindowDraws(ops);
  AddNormDraws(ops);
  AddLinearAndLossDraws(ops);
  return ops;
}

RandomCase DrawCase(const RandomOp& op, int64_t number) {
  Dice dice(SeedOf(op.op, number));
  RandomCase random = op.draw(op.op, dice);
  random.node.op = op.op;
  random.node.name = fmt::to_string(number);
  return random;
}

int64_t RandomCaseCount(int64_t otherwise) {
  return NumberFromEnvironment("WSI_RANDOM_CASES", otherwise);
}

int64_t ContentSeed(int64_t number) { return RunSeed() * 1000003 + number; }

std::string CaseLabel(const RandomCase& random, int64_t number) {
  std::string label =
      fmt::format("WSI_RANDOM_SEED={}, {} case {}:", RunSeed(), random.node.op, number);
  for (const Operand& operand : random.node.inputs) {
    label += operand.present ? " " + operand.shape.ToString() : " -";
  }
  return label;
}

}  // namespace wsi
