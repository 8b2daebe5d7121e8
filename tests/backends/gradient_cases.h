// Single operators with operands, for the check of their gradients.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "runtime/base/attributes.h"
#include "tests/backends/operand.h"

namespace wsi {

struct GradientCase {
  std::string op;
  std::string name;  // Tells the cases of an operator apart.
  Attributes attributes;
  std::vector<Operand> inputs;
  // The inputs whose gradient is checked, each alone and all together.
  std::vector<int> wrt;
  int outputs = 1;  // Those that the forward node begins with; output 0 is differentiated.
};
inline void PrintTo(const GradientCase& test, std::ostream* out) {
  *out << test.op << " " << test.name;
}

void AddPointwiseGradientCases(std::vector<GradientCase>& cases);
void AddMovementGradientCases(std::vector<GradientCase>& cases);
void AddSpatialGradientCases(std::vector<GradientCase>& cases);
void AddLinearGradientCases(std::vector<GradientCase>& cases);
void AddLossGradientCases(std::vector<GradientCase>& cases);
std::vector<GradientCase> GradientCases();

}  // namespace wsi
