// Every differentiable operator's gradient against central differences in fp64, on cases
// whose attributes, shapes and broadcasting patterns are drawn at random.
// WSI_RANDOM_CASES sets their number for each operator, WSI_RANDOM_SEED which they are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "compiler/ir/text.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/case_graph.h"
#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

constexpr int64_t kDefaultCases = 20;
constexpr int kDirections = 3;  // In which an operand is moved as a whole; and
constexpr int kEntries = 3;     // entries that are moved alone.
// Truncation of the smooth ones: step^4 / 30 of the fifth derivative, 3e-14 of it.
constexpr double kStep = 0x1p-10;
constexpr double kSmoothTolerance = 1e-8;
constexpr double kLinearTolerance = 1e-11;  // Rounding alone, divided by the step.

// A change of an operand, entries -1, 0 and 1, and what the gradient says about it.
struct Direction {
  std::vector<int> change;
  double slope = 0;
  double magnitude = 0;  // The sum of the magnitudes of what `slope` adds up.
};

class RandomGradients : public testing::TestWithParam<RandomOp> {
 protected:
  // Moves input `name` by step * change.
  double LossAt(CaseGraph& scene, const std::string& name, const Direction& direction,
                double step) {
    const std::span<double> x = scene.values[name].data<double>();
    const std::vector<double> before(x.begin(), x.end());
    for (size_t i = 0; i < direction.change.size(); ++i) x[i] += step * direction.change[i];
    const Result<double> loss = EvaluateLoss(scene, scene.values, runner_);
    EXPECT_TRUE(loss.ok()) << loss.status().message();
    std::copy(before.begin(), before.end(), x.begin());
    return loss.ok() ? *loss : 0;
  }

  double NumericSlope(CaseGraph& scene, const std::string& name, const Direction& direction,
                      Slope kind) {
    const auto difference = [&](double step) {
      return (LossAt(scene, name, direction, step) - LossAt(scene, name, direction, -step)) /
             (2 * step);
    };
    // Four points: the error of two at twice the step is four times as large.
    const double near = difference(kStep);
    return kind == Slope::kSmooth ? (4 * near - difference(2 * kStep)) / 3 : near;
  }

  std::vector<Direction> Directions(const Tensor& gradient, std::mt19937_64& random) {
    const std::vector<double> g = gradient.ToDoubles();
    std::vector<Direction> directions(kDirections + kEntries);
    for (size_t d = 0; d < directions.size(); ++d) {
      Direction& direction = directions[d];
      direction.change.resize(g.size());
      const size_t entry = random() % g.size();
      for (size_t i = 0; i < g.size(); ++i) {
        const int sign = static_cast<int>(random() % 3) - 1;
        direction.change[i] = d < kDirections ? sign : i == entry ? 1 : 0;
        direction.slope += direction.change[i] * g[i];
        direction.magnitude += std::abs(direction.change[i] * g[i]);
      }
    }
    return directions;
  }

  void CheckInput(CaseGraph& scene, const RandomCase& random, const std::string& name,
                  const Tensor& gradient, std::mt19937_64& numbers) {
    ASSERT_EQ(gradient.shape(), scene.values[name].shape());
    ASSERT_EQ(gradient.dtype(), DType::kF64);
    for (const Direction& direction : Directions(gradient, numbers)) {
      const double numeric = NumericSlope(scene, name, direction, random.slope);
      any_slope_ = any_slope_ || numeric != 0;
      if (random.slope == Slope::kExact) {
        EXPECT_EQ(direction.slope, numeric) << name;
        continue;
      }
      const double relative = random.slope == Slope::kLinear ? kLinearTolerance : kSmoothTolerance;
      const double scale = std::max({1.0, direction.magnitude, std::abs(numeric)});
      EXPECT_NEAR(direction.slope, numeric, relative * scale) << name;
    }
  }

  // Asks autodiff for the gradients of `wrt`.
  void CheckCase(const RandomCase& random, const std::set<int>& wrt, int64_t number) {
    const Fill weights = random.slope == Slope::kExact ? Fill::kWhole : Fill::kOffZero;
    CaseGraph scene;
    CaseGraph backward;
    ASSERT_TRUE(BuildCaseGraph(random.node, wrt, ContentSeed(number), weights, scene).ok());
    Status done = BuildCaseGraph(random.node, wrt, ContentSeed(number), weights, backward);
    if (done.ok()) done = DifferentiateAndEvaluate(backward, runner_);
    ASSERT_TRUE(done.ok()) << done.message();
    const NamedTensors gradients = GradientsOf(backward);
    std::mt19937_64 numbers(static_cast<uint64_t>(ContentSeed(number)));
    for (const int i : wrt) {
      const auto found = gradients.find(InputName(i));
      ASSERT_NE(found, gradients.end()) << "no gradient of input " << i;
      CheckInput(scene, random, InputName(i), found->second, numbers);
    }
    if (HasFailure()) ADD_FAILURE() << PrintGraph(scene.graph);
  }

  LaunchRunner runner_{MakeReferenceBackend()};
  bool any_slope_ = false;  // Whether the loss of the case depends on anything.
};

TEST_P(RandomGradients, AgreeWithCentralDifferences) {
  const RandomOp& op = GetParam();
  int64_t flat = 0;
  const int64_t count = RandomCaseCount(kDefaultCases);
  for (int64_t number = 0; number < count; ++number) {
    const RandomCase random = DrawCase(op, number);
    SCOPED_TRACE(CaseLabel(random, number));
    any_slope_ = false;
    const std::vector<int>& wrt = random.node.wrt;
    CheckCase(random, {wrt.begin(), wrt.end()}, number);
    if (wrt.size() > 1) CheckCase(random, {wrt[static_cast<size_t>(number) % wrt.size()]}, number);
    if (!any_slope_) ++flat;
    if (HasFailure()) return;
  }
  // Dropout of all elements, a softmax along an axis of one: seldom.
  EXPECT_LE(flat * 2, count) << "of too many cases the loss does not depend on the operands";
}

INSTANTIATE_TEST_SUITE_P(Operators, RandomGradients, testing::ValuesIn(RandomOps()),
                         [](const testing::TestParamInfo<RandomOp>& param) {
                           return std::string(param.param.op);
                         });

TEST(RandomGradientCoverage, EveryDifferentiableOperatorIsDrawn) {
  std::set<std::string_view> drawn;
  for (const RandomOp& op : RandomOps()) drawn.insert(op.op);
  for (const OpDef* def : AllOps()) {
    if (def->gradient.build == nullptr) continue;
    EXPECT_TRUE(drawn.contains(def->name)) << def->name << " has no draw in random_cases_*.cc";
  }
}

}  // namespace
}  // namespace wsi
