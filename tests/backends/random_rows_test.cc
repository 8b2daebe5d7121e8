// Row algebra on random cases: bands of rows, computed from the rows and with the
// attributes that it gives, stitch to what the whole operator computes; forward, and for
// every operator of the gradient.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// How often the nodes of an operator were seen along some axis.
struct Seen {
  int64_t banded = 0;
  int64_t refused = 0;
  int64_t tried = 0;  // Of the refused ones, those where a row could be changed alone,
  int64_t mixed = 0;  // and those where that changed other rows of the result.
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

  // Whether the refusal is true: row 0 of an input changes other rows of the result.
  void Refused(const CaseGraph& scene, NodeId node, int axis) {
    const OpView view(scene.graph, node);
    Seen& seen = seen_[view.op()];
    ++seen.refused;
    // No backend launches the one; the rows of the other are an input's.
    if (view.op() == "BatchNormTrain" || FindOp(view.op())->summed_input >= 0) return;
    const Value& y = view.output(0);
    if (y.shape[axis] < 2) return;
    NamedTensors values;
    int changed = 0;
    for (int i = 0; i < view.input_count(); ++i) {
      if (!view.HasInput(i)) continue;
      const Value& x = view.input(i);
      Tensor& value = values[x.name];
      value = scene.values.at(x.name).Clone().value();
      const bool has_row = x.shape.rank() == y.shape.rank() && x.shape[axis] == y.shape[axis];
      if (x.dtype != DType::kF64 || !has_row) continue;
      Tensor row = TakeRowsOf(value, axis, {0, 1});
      for (double& v : row.data<double>()) v += 8;
      PutRows(row, axis, 0, value);
      ++changed;
    }
    if (changed == 0) return;
    const auto after = RunNode(scene.graph, node, values, runner_);
    ASSERT_TRUE(after.ok()) << after.status().message();
    const RowRange others = {1, y.shape[axis]};
    ++seen.tried;
    const Tensor& before = scene.values.at(y.name);
    const Tensor moved = TakeRowsOf((*after)[0], axis, others);
    if (!(moved == TakeRowsOf(before, axis, others))) ++seen.mixed;
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
        Refused(scene, node, axis);
        return;
      }
      begin = end;
    }
    const auto axes = BandOf(view, axis, {0, count})->output_axes;
    const auto outputs = RunInBands(scene.graph, node, axis, cuts, scene.values, runner_);
    SCOPED_TRACE(
        fmt::format("{} along axis {}, bands to {}", view.op(), axis, fmt::join(cuts, ", ")));
    ASSERT_TRUE(outputs.ok()) << outputs.status().message();
    ++seen_[view.op()].banded;
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

  // How many inputs were checked.
  int64_t CheckFinalRows(const RandomCase& random, int64_t number) {
    CaseGraph scene;
    const std::vector<int>& wrt = random.node.wrt;
    Status done = BuildCaseGraph(random.node, {wrt.begin(), wrt.end()}, ContentSeed(number),
                                 Fill::kWhole, scene);
    NamedTensors changed;
    for (const auto& [name, tensor] : scene.values) changed[name] = tensor.Clone().value();
    if (done.ok()) done = DifferentiateAndEvaluate(scene, runner_);
    EXPECT_TRUE(done.ok()) << done.message();
    const NamedTensors gradients = GradientsOf(scene);
    const OpView view(scene.graph, scene.node);
    Dice dice(static_cast<uint64_t>(ContentSeed(number)));
    const int rank = view.output_shape(0).rank();
    const int axis = rank == 0 ? 0 : static_cast<int>(dice.Between(0, rank - 1));
    const Result<int64_t> count = RowCount(view, axis);
    if (!count.ok() || *count < 2) return 0;
    const int64_t given = dice.Between(1, *count - 1);
    Tensor rest = TakeRowsOf(changed["weights"], axis, {given, *count});
    for (double& v : rest.data<double>()) v = 1 - 2 * v;
    PutRows(rest, axis, given, changed["weights"]);
    EXPECT_TRUE(EvaluateGraph(scene.graph, runner_, changed).ok());
    int64_t checked = 0;
    for (const ParameterGradient& pair : scene.graph.gradients) {
      const std::string& name = scene.graph.value(pair.parameter).name;
      const int input = std::stoi(name.substr(InputName(0).size() - 1));
      const Result<int64_t> final_rows = FinalGradientRows(view, axis, input, given);
      if (!final_rows.ok()) continue;
      const int own = BandOf(view, axis, {0, *count})->inputs[static_cast<size_t>(input)].axis;
      const Tensor& after = changed.at(scene.graph.value(pair.gradient).name);
      EXPECT_TRUE(TakeRowsOf(after, own, {0, *final_rows}) ==
                  TakeRowsOf(gradients.at(name), own, {0, *final_rows}))
          << name << ": " << *final_rows << " rows are not final with " << given << " of " << *count
          << " rows of dy";
      ++checked;
    }
    return checked;
  }

  void CheckClosedForm(const RandomCase& random, int64_t number) {
    CaseGraph scene;
    ASSERT_TRUE(BuildCaseGraph(random.node, {0}, ContentSeed(number), Fill::kWhole, scene).ok());
    const OpView view(scene.graph, scene.node);
    const Attributes& a = view.attributes();
    const int64_t k = a.Ints("kernel_shape")[0];
    const int64_t s = a.Ints("strides")[0];
    const int64_t d = a.Ints("dilations")[0];
    const int64_t p = a.Ints("pads")[0];
    const int64_t rows = view.input_shape(0)[1];
    const int64_t count = view.output_shape(0)[1];
    for (int64_t end = 1; end <= count; ++end) {
      const auto clip = [&](int64_t v) { return std::clamp<int64_t>(v, 0, rows); };
      const Result<int64_t> needed = RowsNeeded(view, 1, 0, end);
      const int64_t reach = clip((end - 1) * s - p + (k - 1) * d + 1);
      const int64_t final_reach = clip(end * s - p);
      if (needed.ok()) {
        EXPECT_EQ(*needed, end == count ? rows : reach) << end;
      }
      const Result<int64_t> final_rows = FinalGradientRows(view, 1, 0, end);
      if (final_rows.ok()) {
        EXPECT_EQ(*final_rows, end == count ? rows : final_reach) << end;
      }
    }
  }

  LaunchRunner runner_{MakeReferenceBackend()};
  std::map<std::string, Seen, std::less<>> seen_;
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
  for (const auto& [op, seen] : seen_) {
    if (std::getenv("WSI_RANDOM_REPORT") != nullptr) {
      fmt::print("{}: {} in bands, {} refused, {} of {} mix rows\n", op, seen.banded, seen.refused,
                 seen.mixed, seen.tried);
    }
    // A few refusals may be of cases where rows happen to be apart.
    // A loss's gradient is divided by the weights of all targets, which are not changed here.
    if (seen.tried >= 10 && op != "SoftmaxCrossEntropyGrad") {
      EXPECT_GT(seen.mixed, 0) << op << " is refused bands, but no row depends on another one";
    }
  }
  for (const OpDef* def : AllOps()) {
    const bool has_bands = def->band != nullptr || def->rows == RowKind::kPointwise;
    const auto seen = seen_.find(def->name);
    if (!has_bands || seen == seen_.end()) continue;
    EXPECT_GT(seen->second.banded, 0) << def->name << " was drawn, but never had a band";
  }
}

// Input-gradient rows that are said to be final do not depend on later rows of dy.
TEST_F(RandomRows, FinalGradientRowsAreFinal) {
  int64_t checked = 0;
  const int64_t count = RandomCaseCount(kDefaultCases);
  for (const RandomOp& op : RandomOps()) {
    if (FindOp(op.op)->summed_input >= 0) continue;
    for (int64_t number = 0; number < count; ++number) {
      const RandomCase random = DrawCase(op, number);
      SCOPED_TRACE(CaseLabel(random, number));
      checked += CheckFinalRows(random, number);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(checked, count);
}

// The closed form of windows: with kernel k, stride s, dilation d, leading pad p, L rows and M
// rows of the result, the first E of these need min(L, (E - 1) s - p + (k - 1) d + 1) rows,
// and the first G of their gradients leave G s - p rows final.
TEST_F(RandomRows, WindowsFollowTheClosedForm) {
  for (const RandomOp& op : RandomOps()) {
    if (FindOp(op.op)->rows != RowKind::kWindow || op.op == "ConvTranspose") continue;
    for (int64_t number = 0; number < RandomCaseCount(kDefaultCases); ++number) {
      const RandomCase random = DrawCase(op, number);
      SCOPED_TRACE(CaseLabel(random, number));
      CheckClosedForm(random, number);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace wsi
