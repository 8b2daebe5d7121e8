// Random cases of every differentiable operator: attributes, shapes and broadcasting
// patterns as they come, operands away from where the operator has no derivative.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tests/backends/dice.h"
#include "tests/backends/gradient_cases.h"

namespace wsi {

// How the result depends on one operand, the others fixed.
enum class Slope : uint8_t {
  kExact,   // linear within 1/64 of the operands, all numbers being short dyadic fractions:
            // sums and difference quotients are exact
  kLinear,  // linear within 1/64 of the operands
  kSmooth,  // smooth within 1/64 of the operands
};

struct RandomCase {
  GradientCase node;
  Slope slope = Slope::kSmooth;
};

struct RandomOp {
  std::string_view op;
  RandomCase (*draw)(std::string_view op, Dice&);
};

void AddPointwiseDraws(std::vector<RandomOp>& ops);
void AddMovementDraws(std::vector<RandomOp>& ops);
void AddAlongAxisDraws(std::vector<RandomOp>& ops);
void AddWindowDraws(std::vector<RandomOp>& ops);
void AddNormDraws(std::vector<RandomOp>& ops);
void AddLinearAndLossDraws(std::vector<RandomOp>& ops);
std::vector<RandomOp> RandomOps();

// Case `number` of an operator in the run with seed WSI_RANDOM_SEED.
RandomCase DrawCase(const RandomOp& op, int64_t number);
// WSI_RANDOM_CASES, or `otherwise`.
int64_t RandomCaseCount(int64_t otherwise);
// What DrawCase was asked for, to repeat it.
std::string CaseLabel(const RandomCase& random, int64_t number);
// For the contents of the operands.
int64_t ContentSeed(int64_t number);

}  // namespace wsi
