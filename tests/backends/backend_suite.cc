#include "tests/backends/backend_suite.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/backend_cases.h"
#include "tests/backends/launch_runner.h"

namespace wsi {
namespace {

constexpr double kEpsilon = 0x1p-23;  // Of single precision.

// A case and the type of its activations.
struct BackendRun {
  BackendCase test;
  DType type = DType::kF32;
};
void PrintTo(const BackendRun& run, std::ostream* out) {
  PrintTo(run.test, out);
  *out << " in " << DTypeName(run.type);
}

bool IsHalf(DType type) { return type == DType::kF16 || type == DType::kBF16; }

// Losses, updates and GridSample run in fp32 alone.
bool RunsInHalf(std::string_view op) {
  return !op.ends_with("Update") && op != "AccumulateGrad" && op != "ClipScale" &&
         op != "MovingAverage" && op != "AllFinite" && !op.starts_with("MeanSquaredError") &&
         op.find("CrossEntropy") == std::string_view::npos &&
         !op.starts_with("NegativeLogLikelihood") && !op.starts_with("GridSample");
}

std::vector<BackendRun> BackendRuns() {
  std::vector<BackendRun> runs;
  for (const DType type : FloatTypesUnderTest()) {
    for (const BackendCase& test : BackendCases()) {
      if (!IsHalf(type) || RunsInHalf(test.op)) runs.push_back({test, type});
    }
  }
  return runs;
}

// Fresh in every run unless WSI_TEST_SEED says otherwise.
int64_t RunSeed() {
  static const int64_t seed = TestSeed(static_cast<int64_t>(std::random_device()() % 1000000));
  return seed;
}

std::vector<const Tensor*> Pointers(const BackendCase& test, const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> pointers;
  for (size_t i = 0; i < tensors.size(); ++i) {
    pointers.push_back(test.inputs[i].present ? &tensors[i] : nullptr);
  }
  return pointers;
}

// Floats as `op` takes them, other tensors as they are.
std::vector<Tensor> Converted(std::string_view op, const std::vector<Tensor>& tensors,
                              DType dtype) {
  const std::span<const int> singles = FindOp(op)->float32_inputs;
  std::vector<Tensor> converted;
  for (size_t i = 0; i < tensors.size(); ++i) {
    DType type = IsFloat(tensors[i].dtype()) ? dtype : tensors[i].dtype();
    const bool single = std::count(singles.begin(), singles.end(), static_cast<int>(i)) > 0;
    if (IsHalf(type) && single) type = DType::kF32;
    converted.push_back(tensors[i].Cast(type).value());
  }
  return converted;
}

// Attributes that name a type name the float type of the run.
Attributes WithFloatType(Attributes attributes, DType dtype) {
  for (const char* name : {"to", "dtype"}) {
    if (attributes.String(name, "") == "float") {
      attributes.Set(name, std::string(DTypeName(dtype)));
    }
  }
  if (attributes.Has("types")) {  // Of all results.
    std::string types = attributes.String("types", "");
    for (size_t at = 0; (at = types.find("float")) != std::string::npos;) {
      types.replace(at, std::string_view("float").size(), DTypeName(dtype));
    }
    attributes.Set("types", types);
  }
  return attributes;
}

// The backend, the reference, and what cases are run on.
class CaseLaunches {
 protected:
  // What MaxPool with the case's attributes gives as index of a random image.
  Tensor WindowIndex(const BackendCase& test) {
    Attributes attributes = test.attributes;
    const Shape image = Shape::Make(attributes.Ints("input_shape")).value();
    attributes.Erase("input_shape");
    const Tensor x = RandomTensor({image}, RunSeed(), 2000);
    Launch launch{"MaxPool", test.name, attributes, {&x}, {}, {}};
    EXPECT_TRUE(InferLaunch(launch, {true, true}).ok());
    return std::move(reference_.Run(launch).value()[1]);
  }

  std::vector<Tensor> Inputs(const BackendCase& test) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < test.inputs.size(); ++i) {
      const bool derived = test.inputs[i].fill == Fill::kWindowIndex;
      inputs.push_back(derived ? WindowIndex(test)
                               : RandomTensor(test.inputs[i], RunSeed(), static_cast<int64_t>(i)));
    }
    return inputs;
  }

  // The launch of the case on `inputs`, which it borrows.
  Launch MakeLaunch(const BackendCase& test, const std::vector<Tensor>& inputs, DType dtype) {
    Launch launch{test.op, test.name, WithFloatType(test.attributes, dtype), Pointers(test, inputs),
                  {},      {}};
    const Status inferred = InferLaunch(launch, test.outputs);
    EXPECT_TRUE(inferred.ok()) << inferred.message();
    return launch;
  }

  LaunchRunner backend_{MakeBackendUnderTest()};
  LaunchRunner reference_{MakeReferenceBackend()};
};

class BackendSuite : public testing::TestWithParam<BackendRun>, protected CaseLaunches {
 protected:
  void SetUp() override {
    if (!backend_.has_backend()) GTEST_SKIP() << "the backend's device is not there";
  }
};

// What rounding `value` to `dtype` once may change; fp32 and fp64 have it in their bound.
double RoundingOf(DType dtype, double value) {
  if (dtype == DType::kF16) return 0x1p-11 * std::abs(value) + 0x1p-25;
  return dtype == DType::kBF16 ? 0x1p-8 * std::abs(value) : 0.0;
}

void ExpectClose(const Tensor& got, const Tensor& want, const Bound& bound) {
  ASSERT_EQ(got.shape(), want.shape());
  const std::vector<double> a = got.ToDoubles();
  const std::vector<double> b = want.ToDoubles();
  double largest = 0;
  for (const double v : b) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i]) continue;
    const double magnitude = (bound.per_element ? std::abs(b[i]) : largest) + bound.floor;
    const double allowed =
        kEpsilon * bound.c * std::sqrt(bound.length) * magnitude + RoundingOf(got.dtype(), b[i]);
    ASSERT_LE(std::abs(a[i] - b[i]), allowed)
        << "element " << i << " of " << want.shape().ToString() << ": got " << a[i] << ", wanted "
        << b[i];
  }
}

TEST_P(BackendSuite, AgreesWithReference) {
  const auto& [test, type] = GetParam();
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", RunSeed()));
  const std::vector<Tensor> inputs = Converted(test.op, Inputs(test), type);
  const std::vector<Tensor> exact = Converted(test.op, inputs, DType::kF64);
  const Launch reference = MakeLaunch(test, exact, DType::kF64);
  const Result<std::vector<Tensor>> want = reference_.Run(reference);
  ASSERT_TRUE(want.ok()) << want.status().message();
  const Launch launch = MakeLaunch(test, inputs, type);
  const Result<std::vector<Tensor>> got = backend_.Run(launch);
  ASSERT_TRUE(got.ok()) << got.status().message();
  ASSERT_EQ(got->size(), want->size());
  for (size_t i = 0; i < want->size(); ++i) {
    SCOPED_TRACE(fmt::format("output {}", i));
    if (!reference.outputs[i]) continue;
    if (IsFloat(reference.outputs[i]->dtype)) {
      ExpectClose((*got)[i], (*want)[i], test.bound);
    } else {
      EXPECT_TRUE((*got)[i] == (*want)[i]) << "an output that is no float differs";
    }
  }
}

// Sharing memory as OpDef::in_place allows changes no bit.
TEST_P(BackendSuite, InPlaceChangesNothing) {
  const auto& [test, type] = GetParam();
  const OpDef* def = FindOp(test.op);
  ASSERT_NE(def, nullptr);
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", RunSeed()));
  const std::vector<Tensor> inputs = Converted(test.op, Inputs(test), type);
  Launch launch = MakeLaunch(test, inputs, type);
  const Result<std::vector<Tensor>> apart = backend_.Run(launch);
  ASSERT_TRUE(apart.ok()) << apart.status().message();
  for (const auto& [output, input] : def->in_place) {
    const auto o = static_cast<size_t>(output);
    const auto i = static_cast<size_t>(input);
    if (o >= launch.outputs.size() || !launch.outputs[o]) continue;
    if (i >= launch.inputs.size() || launch.inputs[i] == nullptr) continue;
    const TensorType shared_type{launch.inputs[i]->dtype(), launch.inputs[i]->shape()};
    if (shared_type != *launch.outputs[o]) continue;
    SCOPED_TRACE(fmt::format("output {} over input {}", output, input));
    launch.in_place = {output, input};
    const Result<std::vector<Tensor>> shared = backend_.Run(launch);
    ASSERT_TRUE(shared.ok()) << shared.status().message();
    for (size_t k = 0; k < apart->size(); ++k) {
      EXPECT_TRUE((*shared)[k] == (*apart)[k]) << "output " << k << " differs";
    }
  }
}

// The convolutions whose names begin alike.
struct ConvolutionRun {
  std::string prefix;
  DType type = DType::kF32;
};
void PrintTo(const ConvolutionRun& run, std::ostream* out) {
  *out << run.prefix << " in " << DTypeName(run.type);
}
std::vector<ConvolutionRun> ConvolutionRuns() {
  std::vector<ConvolutionRun> runs;
  for (const DType type : FloatTypesUnderTest()) {
    for (const char* prefix : {"depthwise", "grouped", ""}) runs.push_back({prefix, type});
  }
  return runs;
}

class ConvolutionsInTurn : public testing::TestWithParam<ConvolutionRun>, protected CaseLaunches {
 protected:
  void SetUp() override {
    if (!backend_.has_backend()) GTEST_SKIP() << "the backend's device is not there";
  }
};

// Sizes alternate within one program, which libraries have got wrong where each operator by
// itself was right.
TEST_P(ConvolutionsInTurn, AgreeWithReference) {
  const auto& [prefix, type] = GetParam();
  SCOPED_TRACE(fmt::format("WSI_TEST_SEED={}", RunSeed()));
  std::vector<BackendCase> cases;
  for (const BackendCase& test : BackendCases()) {
    if (test.op.starts_with("Conv") && test.name.starts_with(prefix)) cases.push_back(test);
  }
  std::vector<std::vector<Tensor>> inputs;
  inputs.reserve(cases.size());
  std::vector<Launch> launches;
  for (const BackendCase& test : cases) {
    inputs.push_back(Converted(test.op, Inputs(test), type));
    launches.push_back(MakeLaunch(test, inputs.back(), type));
  }
  const auto got = backend_.RunInTurn(launches, 2);
  ASSERT_TRUE(got.ok()) << got.status().message();
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].op + " " + cases[i].name);
    const std::vector<Tensor> exact = Converted(cases[i].op, inputs[i], DType::kF64);
    const auto want = reference_.Run(MakeLaunch(cases[i], exact, DType::kF64));
    ASSERT_TRUE(want.ok()) << want.status().message();
    ExpectClose((*got)[i][0], (*want)[0], cases[i].bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, ConvolutionsInTurn, testing::ValuesIn(ConvolutionRuns()),
                         [](const testing::TestParamInfo<ConvolutionRun>& run) {
                           const std::string& prefix = run.param.prefix;
                           return fmt::format("{}_{}", prefix.empty() ? "all" : prefix,
                                              DTypeName(run.param.type));
                         });

INSTANTIATE_TEST_SUITE_P(Operators, BackendSuite, testing::ValuesIn(BackendRuns()),
                         [](const testing::TestParamInfo<BackendRun>& run) {
                           const BackendCase& test = run.param.test;
                           return fmt::format("{}_{}_{}", test.op, test.name,
                                              DTypeName(run.param.type));
                         });

TEST(BackendCoverage, EverySupportedOperatorHasACase) {
  std::set<std::string, std::less<>> covered;
  for (const BackendCase& test : BackendCases()) covered.insert(test.op);
  const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  const std::vector<std::string_view> known = reference->SupportedOps();
  const std::unique_ptr<Backend> backend = MakeBackendUnderTest();
  if (backend == nullptr) GTEST_SKIP() << "the backend's device is not there";
  for (const std::string_view op : backend->SupportedOps()) {
    EXPECT_TRUE(covered.contains(op)) << op << " has no case";
    EXPECT_NE(std::find(known.begin(), known.end(), op), known.end())
        << op << " is unknown to the reference";
  }
}

TEST(BackendCoverage, SupportedOpsAreSortedAndKnown) {
  const std::unique_ptr<Backend> backend = MakeBackendUnderTest();
  if (backend == nullptr) GTEST_SKIP() << "the backend's device is not there";
  const std::vector<std::string_view> ops = backend->SupportedOps();
  EXPECT_TRUE(std::is_sorted(ops.begin(), ops.end()));
  for (const std::string_view op : ops) EXPECT_NE(FindOp(op), nullptr) << op;
}

TEST(BackendErrors, UnknownOperatorNamesOperatorAndNode) {
  LaunchRunner backend(MakeBackendUnderTest());
  if (!backend.has_backend()) GTEST_SKIP() << "the backend's device is not there";
  const Launch launch{"Sqroot", "layer7", {}, {}, {}, {}};
  const Result<std::vector<Tensor>> result = backend.Run(launch);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("Sqroot 'layer7'"), std::string::npos)
      << result.status().message();
}

}  // namespace
}  // namespace wsi
