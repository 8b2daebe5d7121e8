// Pointwise programs: chosen ones, and random ones over random broadcasts and sums.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>

#include "runtime/base/pointwise_attributes.h"
#include "tests/backends/backend_cases.h"

namespace wsi {
namespace {

using Kind = PointwiseOperand::Kind;

constexpr Bound kChain = {.c = 64, .floor = 8};

Attributes Program(const char* text, std::vector<int64_t> results, const char* types) {
  return {{"program", std::string(text)},
          {"results", std::move(results)},
          {"types", std::string(types)}};
}
Attributes Sums(Attributes attributes, std::vector<int64_t> sums, std::vector<int64_t> axes,
                double factor = 1.0) {
  attributes.Set("sums", std::move(sums));
  attributes.Set("axes", std::move(axes));
  attributes.Set("factor", factor);
  return attributes;
}

void AddChosen(std::vector<BackendCase>& cases) {
  const auto add = [&](const char* name, const Attributes& attributes, std::vector<Operand> inputs,
                       std::vector<bool> outputs = {true}) {
    cases.push_back({"Pointwise", name, attributes, std::move(inputs), std::move(outputs), kChain});
  };
  const Shape image{2, 9, 11, 24};
  add("swish", Program("t0 = Sigmoid(x0); t1 = Mul(x0, t0)", {1}, "float"), {{image}});
  add("one_number", Program("t0 = Exp(0.5); t1 = Neg(t0)", {1}, "float"), {{image}});
  add("scalar", Program("t0 = Add(x0, 1)", {0}, "float"), {{Shape{}}});
  add("row_and_column", Program("t0 = Mul(x0, x1); t1 = Add(t0, x2)", {1}, "float"),
      {{image}, {{24}}, {{9, 11, 1}}});
  add("step_twice",
      Program("t0 = Mul(x0, x0); t1 = Add(t0, t0); t2 = Sub(t1, t0)", {2, 0}, "float float"),
      {{image}}, {true, true});
  add("truth",
      Program("t0 = Less(x0, x1); t1 = Not(t0); t2 = Where(t1, x0, -2)", {1, 2}, "bool float"),
      {{image}, {{24}}}, {true, true});
  add("mask", Program("t0 = Where(x0, x1, 0); t1 = Mul(t0, 1.25)", {1}, "float"),
      {Truth(image), {image}});
  const char* product = "t0 = Mul(x0, x1); t1 = Add(t0, x0)";
  add("channel_sums", Sums(Program(product, {1, 0}, "float float"), {1}, {0, 1, 2}),
      {{image}, {{24}}}, {true, true});
  add("row_means", Sums(Program(product, {0}, "float"), {0}, {3}, 1.0 / 24), {{image}, {image}});
  add("image_sums", Sums(Program(product, {0}, "float"), {0}, {1, 2}), {{image}, {image}});
  add("batch_sums", Sums(Program(product, {0}, "float"), {0}, {0}), {{image}, {image}});
  add("scattered_sums", Sums(Program(product, {0, 1}, "float float"), {0, 1}, {0, 2}),
      {{image}, {image}}, {true, true});
  add("full_sum", Sums(Program(product, {0}, "float"), {0}, {0, 1, 2, 3}), {{image}, {image}});
  add("long_rows", Sums(Program(product, {0}, "float"), {0}, {1}), {{{3, 70001}}, {{70001}}});
  add("many_rows", Sums(Program(product, {0, 1}, "float float"), {0}, {0}), {{{9001, 40}}, {{40}}},
      {true, true});
  add("nothing_summed", Sums(Program(product, {0}, "float"), {0}, {}), {{image}, {image}});
  add("empty", Sums(Program(product, {0, 1}, "float float"), {0}, {0, 1}), {{{0, 5}}, {{5}}},
      {true, true});
}

// Programs whose results change little where operands change little: comparisons and
// gradients with a jump look at inputs, which are exact.
class RandomProgram {
 public:
  explicit RandomProgram(uint32_t seed) : random_(seed) {}

  BackendCase Draw(int number) {
    const Shape domain = DrawDomain();
    BackendCase test;
    test.op = "Pointwise";
    test.name = "random_" + std::to_string(number);
    const int inputs = Below(4) + 1;
    for (int i = 0; i < inputs; ++i) {
      test.inputs.push_back({i == 0 ? domain : Broadcast(domain), Fill::kSpread});
    }
    test.inputs.push_back(Truth(Broadcast(domain)));
    const int steps = Below(12) + 1;
    for (int i = 0; i < steps; ++i) kernel_.program.steps.push_back(DrawStep(inputs));
    std::vector<bool> outputs;
    for (int i = Below(3); i >= 0; --i) {
      const int step = i == 0 ? steps - 1 : Below(steps);
      const bool truth = kernel_.program.steps[static_cast<size_t>(step)].op->is_truth;
      kernel_.results.push_back({.step = step,
                                 .dtype = truth ? DType::kBool : DType::kF32,
                                 .is_sum = !truth && Below(3) == 0});
      outputs.push_back(true);
    }
    int64_t terms = 1;
    for (int axis = 0; axis < domain.rank(); ++axis) {
      if (Below(2) == 0) continue;
      kernel_.axes.push_back(axis);
      terms *= domain[axis];
    }
    kernel_.factor = Below(2) == 0 ? 1.0 : 1.0 / static_cast<double>(std::max<int64_t>(terms, 1));
    test.attributes = WritePointwiseAttributes(kernel_);
    std::string types;
    for (const PointwiseResult& result : kernel_.results) {
      types += (types.empty() ? "" : " ") + std::string(IsFloat(result.dtype) ? "float" : "bool");
    }
    test.attributes.Set("types", types);
    test.outputs = outputs;
    test.bound = {.c = 64, .length = static_cast<double>(terms), .floor = 32};
    return test;
  }

 private:
  int Below(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }

  Shape DrawDomain() {
    static const std::vector<Shape> domains = {{7},         {2, 3},       {1, 5, 1, 9},
                                               {2, 13, 6},  {3, 1, 700},  {5, 2, 3, 2, 4},
                                               {1, 17, 31}, {2, 40, 129}, {1100, 3}};
    return domains[static_cast<size_t>(Below(static_cast<int>(domains.size())))];
  }

  Shape Broadcast(const Shape& domain) {
    std::vector<int64_t> sizes;
    for (int axis = Below(domain.rank() + 1); axis < domain.rank(); ++axis) {
      sizes.push_back(Below(3) == 0 ? 1 : domain[axis]);
    }
    return Shape::Make(sizes).value();
  }

  PointwiseOperand Input(int inputs) { return {.kind = Kind::kInput, .index = Below(inputs)}; }
  PointwiseOperand Any(int inputs) {
    const auto steps = static_cast<int>(kernel_.program.steps.size());
    const int choice = Below(6);
    if (choice == 0) return {.kind = Kind::kNumber, .number = 0.25 * (Below(13) - 6)};
    if (choice < 3 || steps == 0) return Input(inputs);
    return {.kind = Kind::kStep, .index = std::max(0, steps - 1 - Below(4))};
  }

  PointwiseStep DrawStep(int inputs) {
    static const char* const smooth[] = {"Add", "Sub", "Max",      "Min",  "Relu",    "Sigmoid",
                                         "Abs", "Neg", "Clip",     "Gelu", "Tanh",    "HardSwish",
                                         "Mul", "Elu", "Softplus", "Erf",  "Identity"};
    static const char* const jumping[] = {"Less", "Greater", "Equal", "ReluGrad", "ClipGrad"};
    const int kind = Below(8);
    if (kind == 0) {
      const PointwiseOperand truth = {.kind = Kind::kInput, .index = inputs};
      return Make("Where", {truth, Any(inputs), Any(inputs)});
    }
    if (kind == 1) {
      const char* op = jumping[Below(5)];
      return Make(op,
                  {std::string(op).ends_with("Grad") ? Any(inputs) : Input(inputs), Input(inputs)});
    }
    const char* op = smooth[Below(17)];
    const PointwiseOperand a = Any(inputs);
    if (FindPointwiseOp(op)->operands == 1) return Make(op, {a});
    // Products of steps would grow without bound.
    return Make(op, {a, op == std::string("Mul") ? Input(inputs) : Any(inputs)});
  }

  PointwiseStep Make(const char* op, std::vector<PointwiseOperand> operands) {
    Attributes attributes;
    if (op == std::string("Clip") || op == std::string("ClipGrad")) {
      attributes = {{"min", -0.75}, {"max", 1.5}};
    }
    return MakePointwiseStep(*FindPointwiseOp(op), operands, attributes);
  }

  std::mt19937 random_;
  PointwiseAttributes kernel_;
};

}  // namespace

// WSI_RANDOM_PROGRAMS says how many random ones.
void AddFusedCases(std::vector<BackendCase>& cases) {
  AddChosen(cases);
  const char* wanted = std::getenv("WSI_RANDOM_PROGRAMS");
  const int count = wanted == nullptr ? 60 : std::atoi(wanted);
  for (int i = 0; i < count; ++i) {
    cases.push_back(RandomProgram(static_cast<uint32_t>(i) + 1).Draw(i));
  }
}

}  // namespace wsi
