#include "tests/backends/gradient_cases.h"

namespace wsi {

std::vector<GradientCase> GradientCases() {
  std::vector<GradientCase> cases;
  AddPointwiseGradientCases(cases);
  AddMovementGradientCases(cases);
  AddSpatialGradientCases(cases);
  AddLinearGradientCases(cases);
  AddLossGradientCases(cases);
  return cases;
}

}  // namespace wsi
