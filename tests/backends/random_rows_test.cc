// Row algebra on random cases: bands of rows, computed from the rows and with the
// attributes that it gives, stitch to what the whole operator computes; forward, and for
// every operator of the gradient.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "compiler/ir/text.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/case_graph.h"
#include "tests/backends/random_cases.h"
#include "tests/backends/row_bands.h"

namespace wsi {
namespace {

constexpr int64_t kDefaultCases = 20;

// Ends of one to five bands of `count` rows.
std::vector<int64_t> AnyCuts(Dice& dice, int64_t count) {
  std::set<int64_t> cuts = {count};
  for (int64_t i = dice.Between(0, 4); i > 0; --i) cuts.insert(dice.Between(1, count));
  return {cuts.begin(), cuts.end()};
}

// Which operators were seen in bands, and of which rows moved others.
struct Seen {
  std::map<std::string, int64_t> banded;
  std::map<std::string, int64_t> refused;
  std::set<std::string> mixing;
};

class RandomRows : public testing::Test {
 protected:
  void ExpectSame(const Tensor& stitched, const Tensor& whole, bool exact, bool summed) {
    if (exact || !summed) {
      EXPECT_TRUE(stitched == whole);
      return;
    }
    const std::vector<double> a = stitched.ToDoubles();
    const std::vector<double> b = whole.ToDoubles();
    double largest = 1;
    for (const double v : b) largest = std::max(largest, std::abs(v));
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-12 * largest);
  }

  // One node along one axis.
  void CheckBands(const CaseGraph& scene, NodeId node, int axis, bool exact, Dice& dice) {
    const OpView view(scene.graph, node);
    const int64_t count = RowCount(view, axis).value();
    if (count == 0) return;
    const std::vector<int64_t> cuts = AnyCuts(dice, count);
    int64_t begin = 0;
    for (const int64_t end : cuts) {
      if (!BandOf(view, axis, {begin, end}).ok()) {
        ++seen_.refused[view.op()];
        return;
      }
      begin = end;
    }
    const auto axes = BandOf(view, axis, {0, count})->output_axes;
    const auto outputs = RunInBands(scene.graph, node, axis, cuts, scene.values, runner_);
    SCOPED_TRACE(
        fmt::format("{} along axis {}, bands to {}", view.op(), axis, fmt::join(cuts, ", ")));
    ASSERT_TRUE(outputs.ok()) << outputs.status().message();
    ++seen_.banded[view.op()];
    for (int i = 0; i < view.output_count(); ++i) {
      if (!view.HasOutput(i)) continue;
      SCOPED_TRACE(fmt::format("output {}", i));
      const auto o = static_cast<size_t>(i);
      ExpectSame((*outputs)[o], scene.values.at(view.output(i).name), exact, axes[o] < 0);
    }
  }

  void CheckCase(const RandomCase& random, int64_t number) {
    const std::vector<int>& wrt = random.node.wrt;
    const bool exact = random.slope == Slope::kExact;
    CaseGraph scene;
    Status done = BuildCaseGraph(random.node, {wrt.begin(), wrt.end()}, ContentSeed(number),
                                 exact ? Fill::kWhole : Fill::kOffZero, scene);
    if (done.ok()) done = DifferentiateAndEvaluate(scene, runner_);
    ASSERT_TRUE(done.ok()) << done.message();
    Dice dice(static_cast<uint64_t>(ContentSeed(number)));
    for (const NodeId node : scene.graph.order()) {
      const OpView view(scene.graph, node);
      for (int axis = 0; RowCount(view, axis).ok(); ++axis) {
        CheckBands(scene, node, axis, exact, dice);
      }
    }
    if (HasFailure()) ADD_FAILURE() << PrintGraph(scene.graph);
  }

  LaunchRunner runner_{MakeReferenceBackend()};
  Seen seen_;
};

TEST_F(RandomRows, BandsStitchToTheWhole) {
  const int64_t count = RandomCaseCount(kDefaultCases);
  for (const RandomOp& op : RandomOps()) {
    for (int64_t number = 0; number < count; ++number) {
      const RandomCase random = DrawCase(op, number);
      SCOPED_TRACE(CaseLabel(random, number));
      CheckCase(random, number);
      if (HasFailure()) return;
    }
  }
  for (const OpDef* def : AllOps()) {
    const std::string name(def->name);
    const bool has_bands = def->band != nullptr || def->rows == RowKind::kPointwise;
    EXPECT_LE(seen_.banded.contains(name), has_bands) << name;
    if (std::getenv("WSI_RANDOM_REPORT") != nullptr) {
      fmt::print("{} {} {}\n", name, seen_.banded[name], seen_.refused[name]);
    }
  }
}

}  // namespace
}  // namespace wsi
