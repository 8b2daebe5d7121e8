#include <cmath>
#include <limits>

#include "tests/backends/backend_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

constexpr Bound kFew = {.c = 16, .floor = 1};

// `inputs` with and without last operands that scale the gradient and say that it is
// finite, or is not.
void AddUpdate(std::vector<BackendCase>& cases, const std::string& op, const std::string& name,
               const Attributes& attributes, std::vector<Operand> inputs, size_t outputs) {
  const std::vector<bool> all(outputs, true);
  cases.push_back({op, name, attributes, inputs, all, kFew});
  inputs.push_back(Number(0.25));
  cases.push_back({op, name + "_scale", attributes, inputs, all, kFew});
  inputs.push_back(Number(1));
  cases.push_back({op, name + "_finite", attributes, inputs, all, kFew});
  inputs[1] = {inputs[1].shape, Fill::kNumber, std::numeric_limits<double>::infinity()};
  inputs.back() = Number(0);
  cases.push_back({op, name + "_overflow", attributes, inputs, all, {.c = 0}});
}

void AddUpdates(std::vector<BackendCase>& cases, const std::string& name, const Shape& shape) {
  const Operand x{shape};
  const Operand squares{shape, Fill::kPositive};
  const Operand lr = Number(0.125);
  AddUpdate(cases, "SgdUpdate", name, {}, {x, x, lr}, 1);
  AddUpdate(cases, "SgdUpdate", name + "_decay", {{"weight_decay", 0.01}}, {x, x, lr}, 1);
  const Attributes momentum = {{"momentum", 0.9}, {"weight_decay", 0.01}};
  AddUpdate(cases, "MomentumUpdate", name, momentum, {x, x, x, lr}, 2);
  AddUpdate(cases, "MomentumUpdate", name + "_nesterov", With(momentum, "nesterov", int64_t{1}),
            {x, x, x, lr}, 2);
  const Attributes adam = {
      {"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0.01}};
  // beta2^step cancels against 1, and roots of it stand below the step.
  const std::vector<Operand> late = {x, x, x, squares, lr, Integer(1000)};
  AddUpdate(cases, "AdamUpdate", name, adam, late, 3);
  AddUpdate(cases, "AdamUpdate", name + "_decoupled", With(adam, "decoupled", int64_t{1}), late, 3);
  const std::vector<Operand> first = {x, x, x, squares, lr, Integer(1)};
  AddUpdate(cases, "AdamUpdate", name + "_first", adam, first, 3);
  cases.push_back({"AccumulateGrad", name, {}, {x, x}, {true}, {.c = 1}});
  cases.push_back({"AllFinite", name, {}, {x}, {true}, {.c = 0}});
  for (const double before : {0.0, 1.0}) {
    cases.push_back({"AllFinite",
                     name + (before == 0 ? "_before0" : "_before1"),
                     {},
                     {x, Number(before)},
                     {true},
                     {.c = 0}});
  }
  for (const double bad :
       {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()}) {
    const Operand overflow{shape, Fill::kNumber, bad};
    const std::string kind = std::isnan(bad) ? "_nan" : bad > 0 ? "_inf" : "_minus_inf";
    cases.push_back({"AllFinite", name + kind, {}, {overflow, Number(1)}, {true}, {.c = 0}});
  }
  cases.push_back({"SquaredNorm",
                   name,
                   {},
                   {x},
                   {true},
                   {.c = 4, .length = static_cast<double>(shape.ElementCount())}});
  const Attributes dropout = {{"ratio", 0.25}, {"seed_id", int64_t{5}}};
  const std::vector<Operand> random = {x, Integer((int64_t{1} << 40) + 12345), Integer(77)};
  cases.push_back({"Dropout", name, dropout, random, {true}, {.c = 2}});
  cases.push_back({"Dropout", name + "_mask", dropout, random, {true, true}, {.c = 2}});
  cases.push_back({"DropoutGrad", name, {{"ratio", 0.25}}, {x, Truth(shape)}, {true}, {.c = 2}});
}

}  // namespace

void AddOptimizerCases(std::vector<BackendCase>& cases) {
  AddUpdates(cases, "one", {1});
  AddUpdates(cases, "odd", {17, 3, 3, 5});
  AddUpdates(cases, "large", {64, 3, 3, 129});
  for (const double norm : {0.5, 100.0}) {
    const std::string name = norm < 1 ? "clips" : "keeps";
    cases.push_back({"ClipScale", name, {{"max_norm", norm}}, {Number(9)}, {true}, {.c = 4}});
    cases.push_back({"ClipScale",
                     name + "_loss_scale",
                     {{"max_norm", norm}},
                     {Number(9), Number(4)},
                     {true},
                     {.c = 4}});
    cases.push_back({"ClipScale",
                     name + "_scaled",
                     {{"max_norm", norm}, {"scale0", 0.5}},
                     {Number(9)},
                     {true},
                     {.c = 4}});
  }
}

}  // namespace wsi
