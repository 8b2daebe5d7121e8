#include "tests/backends/backend_cases.h"

namespace wsi {

std::vector<BackendCase> BackendCases() {
  std::vector<BackendCase> cases;
  AddPointwiseCases(cases);
  AddFusedCases(cases);
  AddMovementCases(cases);
  AddConvolutionCases(cases);
  AddPoolingCases(cases);
  AddNormalizationCases(cases);
  AddLinearCases(cases);
  AddLossCases(cases);
  AddOptimizerCases(cases);
  return cases;
}

}  // namespace wsi
