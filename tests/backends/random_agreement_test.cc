// The CPU backend against the reference on random cases: every operator of the case and of
// its gradient, on the same operands, in single precision and in both half precisions.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/ir/text.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/case_graph.h"
#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

constexpr int64_t kDefaultCases = 6;
constexpr double kEpsilon = 0x1p-23;  // Of single precision.

bool IsHalf(DType type) { return type == DType::kF16 || type == DType::kBF16; }

// Losses and samplings at given positions run in single precision alone.
bool RunsInHalf(const OpDef& def) {
  return def.name.find("CrossEntropy") == std::string::npos &&
         !def.name.starts_with("MeanSquaredError") &&
         !def.name.starts_with("NegativeLogLikelihood") && !def.name.starts_with("GridSample");
}

// What rounding `value` to `dtype` once may change.
double RoundingOf(DType dtype, double value) {
  if (dtype == DType::kF16) return 0x1p-11 * std::abs(value) + 0x1p-25;
  return dtype == DType::kBF16 ? 0x1p-8 * std::abs(value) : 0.0;
}

// The node's operands with floats of `type`, as `def` takes them.
std::vector<Tensor> OperandsIn(const OpView& view, const OpDef& def, const NamedTensors& values,
                               DType type) {
  std::vector<Tensor> operands;
  for (int i = 0; i < view.input_count(); ++i) {
    if (!view.HasInput(i)) {
      operands.emplace_back();
      continue;
    }
    const Tensor& value = values.at(view.input(i).name);
    DType wanted = IsFloat(value.dtype()) ? type : value.dtype();
    const bool single = std::count(def.float32_inputs.begin(), def.float32_inputs.end(), i) > 0;
    if (IsHalf(wanted) && single) wanted = DType::kF32;
    operands.push_back(value.Cast(wanted).value());
  }
  return operands;
}

// Attributes that name the graph's float type name `type`.
Attributes AttributesIn(Attributes attributes, DType type) {
  for (const char* name : {"to", "dtype"}) {
    if (attributes.String(name, "") == "f64") attributes.Set(name, std::string(DTypeName(type)));
  }
  return attributes;
}

class RandomAgreement : public testing::TestWithParam<RandomOp> {
 protected:
  Result<std::vector<Tensor>> Run(const OpView& view, const std::vector<Tensor>& operands,
                                  DType type, LaunchRunner& runner) {
    Launch launch{view.op(), view.name(), AttributesIn(view.attributes(), type), {}, {}, {}};
    for (int i = 0; i < view.input_count(); ++i) {
      launch.inputs.push_back(view.HasInput(i) ? &operands[static_cast<size_t>(i)] : nullptr);
    }
    std::vector<bool> asked;
    for (int i = 0; i < view.output_count(); ++i) asked.push_back(view.HasOutput(i));
    WSI_RETURN_IF_ERROR(InferLaunch(launch, asked));
    return runner.Run(launch);
  }

  // Exact cases leave nothing but the rounding of the result; of others each term of a sum
  // may be off by a few units in the last place.
  void ExpectClose(const Tensor& got, const Tensor& want, bool exact, int64_t terms) {
    ASSERT_EQ(got.shape(), want.shape());
    const std::vector<double> a = got.ToDoubles();
    const std::vector<double> b = want.ToDoubles();
    double largest = 0.25;
    for (const double v : b) largest = std::max(largest, std::abs(v));
    const double sums = exact ? 0 : 8 * kEpsilon * std::sqrt(static_cast<double>(terms)) * largest;
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i]) continue;
      if (std::isinf(a[i]) && IsHalf(got.dtype())) {  // Beyond the largest f16.
        ASSERT_GE(std::copysign(b[i], a[i]), 65504) << "element " << i;
        continue;
      }
      ASSERT_LE(std::abs(a[i] - b[i]), sums + RoundingOf(got.dtype(), b[i]))
          << "element " << i << " of " << want.shape().ToString() << ": got " << a[i] << ", wanted "
          << b[i];
    }
  }

  void CheckNode(const CaseGraph& scene, NodeId node, DType type, bool exact) {
    const OpView view(scene.graph, node);
    const OpDef& def = *FindOp(view.op());
    if (!supported_.contains(def.name) || (IsHalf(type) && !RunsInHalf(def))) return;
    const std::vector<Tensor> operands = OperandsIn(view, def, scene.values, type);
    std::vector<Tensor> exact_operands;
    int64_t terms = 1;
    for (const Tensor& operand : operands) {
      const DType wide = IsFloat(operand.dtype()) ? DType::kF64 : operand.dtype();
      exact_operands.push_back(operand.Cast(wide).value());
      terms = std::max(terms, operand.shape().ElementCount());
    }
    SCOPED_TRACE(fmt::format("{} in {}", view.op(), DTypeName(type)));
    const auto want = Run(view, exact_operands, DType::kF64, reference_);
    ASSERT_TRUE(want.ok()) << want.status().message();
    const auto got = Run(view, operands, type, cpu_);
    ASSERT_TRUE(got.ok()) << got.status().message();
    for (int i = 0; i < view.output_count(); ++i) {
      const auto o = static_cast<size_t>(i);
      if (!view.HasOutput(i)) continue;
      SCOPED_TRACE(fmt::format("output {}", i));
      if (IsFloat((*want)[o].dtype())) {
        ExpectClose((*got)[o], (*want)[o], exact, terms);
      } else {
        EXPECT_TRUE((*got)[o] == (*want)[o]) << "an output that is no float differs";
      }
    }
  }

  void CheckCase(const RandomCase& random, int64_t number) {
    const std::vector<int>& wrt = random.node.wrt;
    const bool exact = random.slope == Slope::kExact;
    CaseGraph scene;
    Status done = BuildCaseGraph(random.node, {wrt.begin(), wrt.end()}, ContentSeed(number),
                                 exact ? Fill::kWhole : Fill::kOffZero, scene);
    if (done.ok()) done = DifferentiateAndEvaluate(scene, reference_);
    ASSERT_TRUE(done.ok()) << done.message();
    for (const NodeId node : scene.graph.order()) {
      for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
        CheckNode(scene, node, type, exact);
      }
    }
    if (HasFailure()) ADD_FAILURE() << PrintGraph(scene.graph);
  }

  static std::set<std::string_view> Supported() {
    const auto backend = MakeCpuBackend({});
    const std::vector<std::string_view> ops = backend->SupportedOps();
    return {ops.begin(), ops.end()};
  }

  LaunchRunner cpu_{MakeCpuBackend({})};
  LaunchRunner reference_{MakeReferenceBackend()};
  const std::set<std::string_view> supported_ = Supported();
};

TEST_P(RandomAgreement, OfCpuAndReference) {
  const RandomOp& op = GetParam();
  for (int64_t number = 0; number < RandomCaseCount(kDefaultCases); ++number) {
    const RandomCase random = DrawCase(op, number);
    SCOPED_TRACE(CaseLabel(random, number));
    CheckCase(random, number);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, RandomAgreement, testing::ValuesIn(RandomOps()),
                         [](const testing::TestParamInfo<RandomOp>& param) {
                           return std::string(param.param.op);
                         });

}  // namespace
}  // namespace wsi
