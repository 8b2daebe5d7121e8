// Pointwise programs, element by element in fp64. Truth values are 0 and 1.
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backends/reference/element_types.h"
#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/reference/pointwise_functions.h"
#include "runtime/backends/reference/walk.h"
#include "runtime/base/pointwise_attributes.h"

namespace wsi::reference {
namespace {

using Kind = PointwiseOperand::Kind;

struct BinaryFunction {
  std::string_view op;
  double (*f)(double a, double b, double number);  // The step's first number.
};

double TruthOf(bool value) { return value ? 1 : 0; }

constexpr BinaryFunction kBinary[] = {
    {"AccumulateGrad", [](double a, double b, double) { return a + b; }},
    {"Add", [](double a, double b, double) { return a + b; }},
    {"And", [](double a, double b, double) { return TruthOf(a != 0 && b != 0); }},
    {"Div", [](double a, double b, double) { return a / b; }},
    {"Equal", [](double a, double b, double) { return TruthOf(a == b); }},
    {"Greater", [](double a, double b, double) { return TruthOf(a > b); }},
    {"Less", [](double a, double b, double) { return TruthOf(a < b); }},
    {"Max", [](double a, double b, double) { return Larger(a, b); }},
    {"Min", [](double a, double b, double) { return Smaller(a, b); }},
    {"Mod", [](double a, double b, double fmod) { return Modulo(a, b, fmod != 0); }},
    {"MovingAverage", [](double a, double b, double m) { return a * m + b * (1 - m); }},
    {"Mul", [](double a, double b, double) { return a * b; }},
    {"Or", [](double a, double b, double) { return TruthOf(a != 0 || b != 0); }},
    {"Pow", [](double a, double b, double) { return std::pow(a, b); }},
    {"Sub", [](double a, double b, double) { return a - b; }},
};

const BinaryFunction* FindBinaryFunction(std::string_view op) {
  for (const BinaryFunction& function : kBinary) {
    if (function.op == op) return &function;
  }
  return nullptr;
}

ScalarNumbers NumbersOf(const PointwiseStep& step) {
  ScalarNumbers numbers;
  for (size_t i = 0; i < step.numbers.size(); ++i) {
    const std::string_view name = step.op->numbers[i].name;
    if (name == "alpha") numbers.alpha = step.numbers[i];
    if (name == "beta") numbers.beta = step.numbers[i];
    if (name == "min") numbers.min = step.numbers[i];
    if (name == "max") numbers.max = step.numbers[i];
  }
  return numbers;
}

// One step with its function looked up; `values` are its operands.
class ScalarStep {
 public:
  explicit ScalarStep(const PointwiseStep& step)
      : step_(step),
        numbers_(NumbersOf(step)),
        unary_(FindUnaryFunction(step.op->name)),
        gradient_(FindGradientFunction(step.op->name)),
        binary_(FindBinaryFunction(step.op->name)) {}

  const PointwiseStep& step() const { return step_; }
  double Evaluate(const double* values) const {
    if (unary_ != nullptr) return unary_->f(values[0], numbers_);
    if (gradient_ != nullptr) return gradient_->f(values[0], values[1], numbers_);
    if (binary_ != nullptr) return binary_->f(values[0], values[1], step_.numbers[0]);
    if (step_.op->name == "Where") return values[0] != 0 ? values[1] : values[2];
    if (step_.op->name == "Not") return TruthOf(values[0] == 0);
    WSI_CHECK(step_.op->name == "Identity");
    return values[0];
  }

 private:
  PointwiseStep step_;
  ScalarNumbers numbers_;
  const UnaryFunction* unary_;
  const GradientFunction* gradient_;
  const BinaryFunction* binary_;
};

// An operand with the strides that it is walked with over the domain.
struct Strided {
  bool is_truth = false;
  AxisArray strides{};
};

class ProgramKernel final : public Kernel {
 public:
  ProgramKernel(const LaunchSpec& launch, const Shape& domain, PointwiseAttributes kernel)
      : domain_(domain), kernel_(std::move(kernel)) {
    for (const PointwiseStep& step : kernel_.program.steps) steps_.emplace_back(step);
    for (const OperandSpec& input : launch.inputs) {
      inputs_.push_back({input.dtype == DType::kBool, Broadcast(input.shape, domain)});
    }
    for (size_t i = 0; i < kernel_.results.size(); ++i) {
      const Shape& shape = launch.outputs[i].shape;
      outputs_.push_back({kernel_.results[i].dtype == DType::kBool, Broadcast(shape, domain)});
      sums_.emplace_back(kernel_.results[i].is_sum ? static_cast<size_t>(shape.ElementCount()) : 0);
    }
  }

  Status Run(const LaunchArguments& arguments) override {
    for (std::vector<double>& sum : sums_) std::fill(sum.begin(), sum.end(), 0.0);
    std::vector<double> values(steps_.size());
    AxisArray index{};
    for (int64_t left = domain_.ElementCount(); left > 0; --left) {
      Evaluate(arguments, index, values);
      for (int axis = domain_.rank() - 1; axis >= 0; --axis) {
        int64_t& i = index[static_cast<size_t>(axis)];
        if (++i < domain_[axis]) break;
        i = 0;
      }
    }
    for (size_t i = 0; i < sums_.size(); ++i) {
      if (!kernel_.results[i].is_sum) continue;
      for (size_t k = 0; k < sums_[i].size(); ++k) {
        arguments.output<double>(i)[k] = sums_[i][k] * kernel_.factor;
      }
    }
    return {};
  }

 private:
  size_t Offset(const Strided& operand, const AxisArray& index) const {
    int64_t offset = 0;
    for (size_t a = 0; a < static_cast<size_t>(domain_.rank()); ++a) {
      offset += index[a] * operand.strides[a];
    }
    return static_cast<size_t>(offset);
  }

  double Load(const LaunchArguments& arguments, size_t i, const AxisArray& index) const {
    const size_t offset = Offset(inputs_[i], index);
    if (inputs_[i].is_truth) return TruthOf(arguments.input<uint8_t>(i)[offset] != 0);
    return arguments.input<double>(i)[offset];
  }

  void Evaluate(const LaunchArguments& arguments, const AxisArray& index,
                std::vector<double>& values) {
    for (size_t s = 0; s < steps_.size(); ++s) {
      double operands[PointwiseStep::kMaxOperands] = {};
      const auto used = steps_[s].step().used();
      for (size_t k = 0; k < used.size(); ++k) {
        const auto at = static_cast<size_t>(used[k].index);
        operands[k] = used[k].kind == Kind::kInput  ? Load(arguments, at, index)
                      : used[k].kind == Kind::kStep ? values[at]
                                                    : used[k].number;
      }
      values[s] = steps_[s].Evaluate(operands);
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const double value = values[static_cast<size_t>(kernel_.results[i].step)];
      const size_t offset = Offset(outputs_[i], index);
      if (kernel_.results[i].is_sum) {
        sums_[i][offset] += value;
      } else if (outputs_[i].is_truth) {
        arguments.output<uint8_t>(i)[offset] = value != 0 ? 1 : 0;
      } else {
        arguments.output<double>(i)[offset] = value;
      }
    }
  }

  Shape domain_;
  PointwiseAttributes kernel_;
  std::vector<ScalarStep> steps_;
  std::vector<Strided> inputs_;
  std::vector<Strided> outputs_;
  std::vector<std::vector<double>> sums_;
};

}  // namespace

KernelResult CompilePointwise(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  Shape domain;
  for (const OperandSpec& input : launch.inputs) {
    check.Require(input.present && (input.dtype == DType::kF64 || input.dtype == DType::kBool),
                  "wants inputs of floats and bool");
    WSI_ASSIGN_OR_RETURN(domain, BroadcastShapes(domain, input.shape));
  }
  WSI_RETURN_IF_ERROR(check.status());
  Result<PointwiseAttributes> kernel =
      ReadPointwiseAttributes(launch.attributes, static_cast<int>(launch.inputs.size()), domain);
  if (!kernel.ok()) {
    check.Require(false, kernel.status().message());
    return check.status();
  }
  check.Require(kernel->results.size() == launch.outputs.size(), "wants an output for each result");
  WSI_RETURN_IF_ERROR(check.status());
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    const PointwiseResult& result = kernel->results[i];
    check.Require(launch.outputs[i].present, "wants every output");
    check.OutputIs(i, result.dtype == DType::kBool ? DType::kBool : DType::kF64);
    check.OutputIs(i, result.is_sum ? kernel->SumShape(domain) : domain);
  }
  WSI_RETURN_IF_ERROR(check.status());
  return std::unique_ptr<Kernel>(
      std::make_unique<ProgramKernel>(launch, domain, std::move(kernel).value()));
}

}  // namespace wsi::reference
