// Launches of every operator, for comparing a backend in single precision with the
// reference.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "runtime/base/attributes.h"
#include "tests/backends/operand.h"

namespace wsi {

// A float output may differ from the reference's by
//   eps * c * sqrt(length) * (largest magnitude of the output + floor),
// or, where per_element, by that with the element's own magnitude; eps = 2^-23.
struct Bound {
  double c = 4;
  double length = 1;  // Terms behind one result.
  bool per_element = false;
  double floor = 0;  // Magnitude of what cancels inside.
};

struct BackendCase {
  std::string op;
  std::string name;  // Tells the cases of an operator apart.
  Attributes attributes;
  std::vector<Operand> inputs;
  std::vector<bool> outputs = {true};  // Those asked for.
  Bound bound;
};
inline void PrintTo(const BackendCase& test, std::ostream* out) {
  *out << test.op << " " << test.name;
}

void AddPointwiseCases(std::vector<BackendCase>& cases);
void AddFusedCases(std::vector<BackendCase>& cases);
void AddMovementCases(std::vector<BackendCase>& cases);
void AddConvolutionCases(std::vector<BackendCase>& cases);
void AddPoolingCases(std::vector<BackendCase>& cases);
void AddNormalizationCases(std::vector<BackendCase>& cases);
void AddLinearCases(std::vector<BackendCase>& cases);
void AddLossCases(std::vector<BackendCase>& cases);
void AddOptimizerCases(std::vector<BackendCase>& cases);
std::vector<BackendCase> BackendCases();

}  // namespace wsi
