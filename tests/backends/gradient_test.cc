// Every gradient rule against central differences in fp64: single-operator graphs are
// differentiated by the autodiff pass and evaluated on the reference backend.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "compiler/ops/op_def.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/case_graph.h"

namespace wsi {
namespace {

constexpr int64_t kMaxEntries = 48;  // Of an input that are moved.
constexpr double kStep = 1e-5;
constexpr double kTolerance = 1e-7;  // Of the largest entry of the gradient.

class GradientTest : public testing::TestWithParam<GradientCase> {
 protected:
  double Loss(const CaseGraph& scene) {
    const Result<double> loss = EvaluateLoss(scene, scene.values, runner_);
    EXPECT_TRUE(loss.ok()) << loss.status().message();
    return loss.ok() ? *loss : 0;
  }

  // d loss / d entry, by central difference.
  double Difference(CaseGraph& scene, const std::string& input, size_t entry) {
    double& x = scene.values[input].data<double>()[entry];
    const double middle = x;
    x = middle + kStep;
    const double above = Loss(scene);
    x = middle - kStep;
    const double below = Loss(scene);
    x = middle;
    return (above - below) / (2 * kStep);
  }

  // The gradients that autodiff makes, by parameter.
  NamedTensors Differentiated(const GradientCase& test, const std::set<int>& wrt, int64_t seed) {
    CaseGraph scene;
    Status done = BuildCaseGraph(test, wrt, seed, Fill::kOffZero, scene);
    if (done.ok()) done = DifferentiateAndEvaluate(scene, runner_);
    EXPECT_TRUE(done.ok()) << done.message();
    return done.ok() ? GradientsOf(scene) : NamedTensors();
  }

  void CheckInput(CaseGraph& scene, const std::string& input, const Tensor& gradient) {
    ASSERT_EQ(gradient.shape(), scene.values[input].shape());
    ASSERT_EQ(gradient.dtype(), DType::kF64);
    const std::vector<double> analytic = gradient.ToDoubles();
    const auto count = static_cast<int64_t>(analytic.size());
    const int64_t stride = std::max<int64_t>(1, count / kMaxEntries);
    std::vector<std::pair<size_t, double>> numeric;
    double largest = 0;
    for (int64_t i = 0; i < count; i += stride) {
      const auto entry = static_cast<size_t>(i);
      numeric.emplace_back(entry, Difference(scene, input, entry));
      largest = std::max(largest, std::abs(numeric.back().second));
    }
    ASSERT_GT(largest, 1e-6) << "the numeric gradient is all zero: the case checks nothing";
    for (const auto& [entry, slope] : numeric) {
      EXPECT_NEAR(analytic[entry], slope, kTolerance * std::max(largest, 1.0))
          << input << " entry " << entry << " of " << gradient.shape().ToString();
    }
  }

  // Asks autodiff for the gradients of `wrt` alone.
  void CheckInputs(const std::set<int>& wrt) {
    const int64_t seed = TestSeed(20240229);
    SCOPED_TRACE("WSI_TEST_SEED=" + std::to_string(seed));
    CaseGraph scene;
    const Status built = BuildCaseGraph(GetParam(), wrt, seed, Fill::kOffZero, scene);
    ASSERT_TRUE(built.ok()) << built.message();
    const NamedTensors gradients = Differentiated(GetParam(), wrt, seed);
    for (const int i : wrt) {
      const auto found = gradients.find(InputName(i));
      ASSERT_NE(found, gradients.end()) << "no gradient of input " << i;
      CheckInput(scene, InputName(i), found->second);
    }
  }

  LaunchRunner runner_{MakeReferenceBackend()};
};

TEST_P(GradientTest, AgreesWithCentralDifferences) {
  const std::vector<int>& wrt = GetParam().wrt;
  CheckInputs({wrt.begin(), wrt.end()});
  if (wrt.size() < 2) return;
  for (const int i : wrt) CheckInputs({i});
}

INSTANTIATE_TEST_SUITE_P(Operators, GradientTest, testing::ValuesIn(GradientCases()),
                         [](const testing::TestParamInfo<GradientCase>& param) {
                           return param.param.op + "_" + param.param.name;
                         });

TEST(GradientCoverage, EveryDifferentiableOperatorHasACase) {
  std::set<std::string> covered;
  for (const GradientCase& test : GradientCases()) covered.insert(test.op);
  for (const OpDef* def : AllOps()) {
    if (def->gradient.build == nullptr) continue;
    EXPECT_TRUE(covered.contains(std::string(def->name))) << def->name << " has no gradient case";
  }
}

TEST(GradientCoverage, EveryOperatorHasARuleOrAReason) {
  for (const OpDef* def : AllOps()) {
    EXPECT_NE(def->gradient.build != nullptr, !def->gradient.none_because.empty()) << def->name;
  }
}

}  // namespace
}  // namespace wsi
