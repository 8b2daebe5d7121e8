// Pointwise programs: many elementwise operators as one kernel, as data.
//
//   t0 = Mul(x0, x1); t1 = Clip(t0, max=6, min=0); t2 = Add(t1, 0.5)
//
// Step i defines t<i> by one operator of the table below. Operands are the kernel's
// inputs x<j>, earlier steps, and numbers. The compiler writes such a text into the
// attribute `program` of the operator Pointwise; each backend runs it its own way.
//
// Values inside a program are fp32, or fp64 where an input or a result is f64, and are
// rounded to a result's type only when it is stored. Truth values are 0 and 1; an operand that is
// read as one is true where it is not 0.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/status.h"

namespace wsi {

// An attribute that is a number, by ONNX's name for it, and what it is where absent.
struct PointwiseNumber {
  std::string_view name = {};  // Empty: there is none.
  double otherwise = 0;
};

// An operator that a program may use. It is the operator of the same name in the
// operator table (docs/operators.md), on one element.
struct PointwiseOp {
  std::string_view name;
  int operands = 1;
  bool is_truth = false;  // The result is a truth value.
  std::array<PointwiseNumber, 2> numbers = {};
};

// The operator called `name`, or null.
const PointwiseOp* FindPointwiseOp(std::string_view name);
// All of them, sorted by name.
std::span<const PointwiseOp> AllPointwiseOps();

struct PointwiseOperand {
  enum class Kind : uint8_t { kInput, kStep, kNumber };
  Kind kind = Kind::kInput;
  int index = 0;      // Of the input or step.
  double number = 0;  // Of kNumber.
  bool operator==(const PointwiseOperand&) const = default;
};

struct PointwiseStep {
  static constexpr int kMaxOperands = 3;

  const PointwiseOp* op = nullptr;
  std::array<PointwiseOperand, kMaxOperands> operands = {};  // op->operands of them.
  std::array<double, 2> numbers = {};                        // As op->numbers.

  std::span<const PointwiseOperand> used() const {
    return std::span(operands).first(static_cast<size_t>(op->operands));
  }
  bool operator==(const PointwiseStep&) const = default;
};

struct PointwiseProgram {
  static constexpr int kMaxSteps = 256;
  static constexpr int kMaxInputs = 64;

  std::vector<PointwiseStep> steps;
  bool operator==(const PointwiseProgram&) const = default;
};

// A step of `op` with the numbers that `attributes` have for it.
PointwiseStep MakePointwiseStep(const PointwiseOp& op, std::span<const PointwiseOperand> operands,
                                const Attributes& attributes);

// Reads a program over `inputs` inputs as from a hostile file: unknown operators, wrong
// operand counts, steps used before they are defined, bad numbers and programs beyond
// the limits are errors that name the step.
Result<PointwiseProgram> ParsePointwiseProgram(std::string_view text, int inputs);
// The text that parses to `program`. Numbers that are at their defaults are left out.
std::string PrintPointwiseProgram(const PointwiseProgram& program);

}  // namespace wsi
