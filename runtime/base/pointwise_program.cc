#include "runtime/base/pointwise_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace wsi {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr PointwiseNumber kMin = {"min", -kInfinity};
constexpr PointwiseNumber kMax = {"max", kInfinity};

constexpr PointwiseOp Unary(std::string_view name, PointwiseNumber a = {}, PointwiseNumber b = {}) {
  return {.name = name, .operands = 1, .numbers = {a, b}};
}
constexpr PointwiseOp Binary(std::string_view name, PointwiseNumber a = {},
                             PointwiseNumber b = {}) {
  return {.name = name, .operands = 2, .numbers = {a, b}};
}
constexpr PointwiseOp Truth(std::string_view name, int operands) {
  return {.name = name, .operands = operands, .is_truth = true};
}

constexpr PointwiseOp kOps[] = {
    Unary("Abs"),
    Binary("AccumulateGrad"),
    Binary("Add"),
    Truth("And", 2),
    Unary("Ceil"),
    Unary("Clip", kMin, kMax),
    Binary("ClipGrad", kMin, kMax),
    Unary("Cos"),
    Unary("Cosh"),
    Binary("Div"),
    Unary("Elu", {"alpha", 1.0}),
    Binary("EluGrad", {"alpha", 1.0}),
    Truth("Equal", 2),
    Unary("Erf"),
    Binary("ErfGrad"),
    Unary("Exp"),
    Unary("Floor"),
    Unary("Gelu"),
    Binary("GeluGrad"),
    Truth("Greater", 2),
    Unary("HardSigmoid", {"alpha", 0.2}, {"beta", 0.5}),
    Binary("HardSigmoidGrad", {"alpha", 0.2}, {"beta", 0.5}),
    Unary("HardSwish"),
    Binary("HardSwishGrad"),
    Unary("Identity"),
    Unary("LeakyRelu", {"alpha", 0.01}),
    Binary("LeakyReluGrad", {"alpha", 0.01}),
    Truth("Less", 2),
    Unary("Log"),
    Binary("Max"),
    Binary("Min"),
    Binary("Mod", {"fmod", 0.0}),
    Binary("MovingAverage", {"momentum", 0.9}),
    Binary("Mul"),
    Unary("Neg"),
    Truth("Not", 1),
    Truth("Or", 2),
    Binary("Pow"),
    Unary("Reciprocal"),
    Unary("Relu"),
    Binary("ReluGrad"),
    Unary("Round"),
    Unary("Sigmoid"),
    Binary("SigmoidGrad"),
    Unary("Sign"),
    Unary("Sin"),
    Unary("Sinh"),
    Unary("Softplus"),
    Unary("Sqrt"),
    Binary("Sub"),
    Unary("Tanh"),
    Binary("TanhGrad"),
    {.name = "Where", .operands = 3},
};

Status ProgramError(size_t step, std::string_view what) {
  return InvalidInput(fmt::format("pointwise program, step {}: {}", step, what));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// What stands before the first `mark`, which is taken off `text` with it; all of `text`
// where there is none.
std::string_view TakeUntil(std::string_view& text, char mark) {
  const size_t at = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return Trim(part);
}

// A number, an infinite one included, but not NaN.
std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || std::isnan(value)) return {};
  return value;
}

std::optional<int> ParseIndex(std::string_view text, int below) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  if (value < 0 || value >= below) return {};
  return value;
}

Result<PointwiseOperand> ParseOperand(std::string_view text, int inputs, size_t step) {
  using Kind = PointwiseOperand::Kind;
  if (const auto number = ParseNumber(text)) {
    return PointwiseOperand{.kind = Kind::kNumber, .number = *number};
  }
  const char prefix = text.empty() ? ' ' : text.front();
  if (prefix == 'x') {
    const auto index = ParseIndex(text.substr(1), inputs);
    if (index) return PointwiseOperand{.kind = Kind::kInput, .index = *index};
    return ProgramError(step, fmt::format("operand '{}' of {} inputs", text, inputs));
  }
  if (prefix == 't') {
    const auto index = ParseIndex(text.substr(1), static_cast<int>(step));
    if (index) return PointwiseOperand{.kind = Kind::kStep, .index = *index};
  }
  return ProgramError(step, fmt::format("operand '{}' is no input, earlier step or number", text));
}

// "name=number" into the place that the operator has for it.
Status ParseAttribute(std::string_view text, size_t number, PointwiseStep& step) {
  std::string_view rest = text;
  const std::string_view name = TakeUntil(rest, '=');
  const auto value = ParseNumber(Trim(rest));
  for (size_t i = 0; i < step.numbers.size(); ++i) {
    if (name.empty() || step.op->numbers[i].name != name) continue;
    if (!value) return ProgramError(number, fmt::format("attribute '{}' wants a number", text));
    step.numbers[i] = *value;
    return {};
  }
  return ProgramError(number, fmt::format("{} has no attribute '{}'", step.op->name, name));
}

// "Op(operand, ..., name=number, ...)"
Result<PointwiseStep> ParseStep(std::string_view text, int inputs, size_t number) {
  std::string_view rest = text;
  const std::string_view name = TakeUntil(rest, '(');
  PointwiseStep step;
  step.op = FindPointwiseOp(name);
  if (step.op == nullptr) return ProgramError(number, fmt::format("no operator '{}'", name));
  if (rest.empty() || rest.back() != ')') return ProgramError(number, "wants '(' and ')'");
  rest.remove_suffix(1);
  for (size_t i = 0; i < step.numbers.size(); ++i) step.numbers[i] = step.op->numbers[i].otherwise;
  int operands = 0;
  while (!rest.empty()) {
    const std::string_view part = TakeUntil(rest, ',');
    if (part.find('=') != std::string_view::npos) {
      WSI_RETURN_IF_ERROR(ParseAttribute(part, number, step));
      continue;
    }
    if (operands == step.op->operands) return ProgramError(number, "has too many operands");
    WSI_ASSIGN_OR_RETURN(step.operands[static_cast<size_t>(operands)],
                         ParseOperand(part, inputs, number));
    ++operands;
  }
  if (operands != step.op->operands) {
    return ProgramError(
        number, fmt::format("{} takes {} operands, not {}", name, step.op->operands, operands));
  }
  return step;
}

std::string PrintOperand(const PointwiseOperand& operand) {
  switch (operand.kind) {
    case PointwiseOperand::Kind::kInput: return fmt::format("x{}", operand.index);
    case PointwiseOperand::Kind::kStep: return fmt::format("t{}", operand.index);
    case PointwiseOperand::Kind::kNumber: break;
  }
  return fmt::format("{}", operand.number);
}

}  // namespace

const PointwiseOp* FindPointwiseOp(std::string_view name) {
  const auto* at = std::lower_bound(
      std::begin(kOps), std::end(kOps), name,
      [](const PointwiseOp& op, std::string_view wanted) { return op.name < wanted; });
  return at != std::end(kOps) && at->name == name ? at : nullptr;
}

std::span<const PointwiseOp> AllPointwiseOps() { return kOps; }

PointwiseStep MakePointwiseStep(const PointwiseOp& op, std::span<const PointwiseOperand> operands,
                                const Attributes& attributes) {
  PointwiseStep step;
  step.op = &op;
  WSI_CHECK(operands.size() == static_cast<size_t>(op.operands));
  std::copy(operands.begin(), operands.end(), step.operands.begin());
  for (size_t i = 0; i < step.numbers.size(); ++i) {
    const PointwiseNumber& number = op.numbers[i];
    if (!number.name.empty()) step.numbers[i] = attributes.Float(number.name, number.otherwise);
  }
  return step;
}

Result<PointwiseProgram> ParsePointwiseProgram(std::string_view text, int inputs) {
  if (inputs > PointwiseProgram::kMaxInputs) {
    return InvalidInput(fmt::format("pointwise program: {} inputs, at most {} are allowed", inputs,
                                    PointwiseProgram::kMaxInputs));
  }
  PointwiseProgram program;
  do {
    const size_t number = program.steps.size();
    if (number == PointwiseProgram::kMaxSteps) return ProgramError(number, "is one too many");
    std::string_view statement = TakeUntil(text, ';');
    const std::string_view target = TakeUntil(statement, '=');
    if (target != fmt::format("t{}", number)) {
      return ProgramError(number, fmt::format("wants 't{} = ...'", number));
    }
    WSI_ASSIGN_OR_RETURN(PointwiseStep step, ParseStep(Trim(statement), inputs, number));
    program.steps.push_back(step);
  } while (!text.empty());
  return program;
}

std::string PrintPointwiseProgram(const PointwiseProgram& program) {
  std::string text;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const PointwiseStep& step = program.steps[i];
    text += fmt::format("{}t{} = {}(", i == 0 ? "" : "; ", i, step.op->name);
    std::string_view separator;
    for (const PointwiseOperand& operand : step.used()) {
      text += fmt::format("{}{}", std::exchange(separator, ", "), PrintOperand(operand));
    }
    for (size_t k = 0; k < step.numbers.size(); ++k) {
      const PointwiseNumber& number = step.op->numbers[k];
      if (number.name.empty() || step.numbers[k] == number.otherwise) continue;
      text += fmt::format("{}{}={}", separator, number.name, step.numbers[k]);
    }
    text += ")";
  }
  return text;
}

}  // namespace wsi
