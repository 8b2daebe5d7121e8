#include "tools/wsirun/tensor_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/plan/npy.h"
#include "runtime/plan/plan_types.h"
#include "runtime/plan/safetensors.h"
#include "runtime/train/loss_scale.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/session.h"

namespace wsi {
namespace {

struct Arguments {
  PlanArguments plan;
  std::vector<std::string> inputs;
  std::string target;
  std::string output;
  bool json = false;
  bool force = false;
};

Status WriteInputs(const Arguments& a, Executor& executor, int program) {
  const plan::Plan& plan = executor.plan();
  const plan::Program& p = plan.programs(program);
  if (p.inputs_size() != static_cast<int>(a.inputs.size())) {
    return UsageError(
        fmt::format("the model has {} inputs, --input names {}", p.inputs_size(), a.inputs.size()));
  }
  for (int i = 0; i < p.inputs_size(); ++i) {
    const std::string& path = a.inputs[static_cast<size_t>(i)];
    WSI_ASSIGN_OR_RETURN(const Tensor read, ReadNpy(path));
    WSI_ASSIGN_OR_RETURN(const Tensor ordered, ToPlanOrder(read, plan.values(p.inputs(i)), path));
    WSI_RETURN_IF_ERROR(executor.WriteInput(program, i, ordered).WithContext(path));
  }
  return {};
}

Status WriteTarget(const Arguments& a, Executor& executor, int program) {
  const plan::Program& p = executor.plan().programs(program);
  if (p.target() < 0) return {};
  if (a.target.empty()) return UsageError("the plan's loss needs a --target");
  WSI_ASSIGN_OR_RETURN(const Tensor read, ReadNpy(a.target));
  WSI_ASSIGN_OR_RETURN(const Tensor ordered,
                       ToPlanOrder(read, executor.plan().values(p.target()), a.target));
  return executor.WriteTarget(program, ordered).WithContext(a.target);
}

using Gradients = std::map<std::string, Tensor>;

// Name of a gradient that is not finite; empty if there is none.
std::string FindOverflow(const Gradients& gradients) {
  for (const auto& [name, gradient] : gradients) {
    const std::vector<double> values = gradient.ToDoubles();
    if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
      return name;
    }
  }
  return "";
}

void Divide(Tensor& gradient, double scale) {
  if (gradient.dtype() == DType::kF64) {
    for (double& v : gradient.data<double>()) v /= scale;
  } else if (gradient.dtype() == DType::kF32) {
    for (float& v : gradient.data<float>()) v /= static_cast<float>(scale);
  }
}

Result<double> RunStep(const Arguments& a, Executor& executor, int program, Gradients* gradients) {
  gradients->clear();
  executor.SetGradientTap([gradients](const std::string& name, Tensor gradient) {
    gradients->emplace(name, std::move(gradient));
    return Status();
  });
  WSI_RETURN_IF_ERROR(WriteInputs(a, executor, program));
  WSI_RETURN_IF_ERROR(WriteTarget(a, executor, program));
  Result<double> loss = executor.Run(program, kNoUpdate);
  executor.SetGradientTap({});
  return loss;
}

// The true gradients: where the plan scales the loss, with the largest scale from the
// trainer's first one on that does not overflow.
Result<double> RunScaledStep(const Arguments& a, Executor& executor, int program,
                             Gradients* gradients) {
  if (!executor.SetScalar("loss_scale", LossScale::kFirst)) {
    return RunStep(a, executor, program, gradients);
  }
  for (double scale = LossScale::kFirst;; scale /= 2) {
    executor.SetScalar("loss_scale", scale);
    WSI_ASSIGN_OR_RETURN(const double loss, RunStep(a, executor, program, gradients));
    const std::string overflow = FindOverflow(*gradients);
    if (!overflow.empty() && scale > LossScale::kFloor && std::isfinite(loss)) continue;
    if (!overflow.empty()) {
      return NumericError(
          fmt::format("the loss is {} and the gradient of {} overflows", loss, overflow));
    }
    for (auto& [name, gradient] : *gradients) Divide(gradient, scale);
    return loss;
  }
}

Status Grad(const Arguments& a) {
  WSI_RETURN_IF_ERROR(CheckOutputPath(a.output, a.force));
  WSI_ASSIGN_OR_RETURN(const Session session, OpenSession(a.plan));
  Executor& executor = *session.executor;
  WSI_ASSIGN_OR_RETURN(const int program, executor.FindProgram("train"));
  Gradients gradients;
  WSI_ASSIGN_OR_RETURN(const double loss, RunScaledStep(a, executor, program, &gradients));
  std::vector<std::pair<std::string, const Tensor*>> tensors;
  tensors.reserve(gradients.size());
  for (const auto& [name, gradient] : gradients) tensors.emplace_back(name, &gradient);
  WSI_RETURN_IF_ERROR(WriteSafetensors(a.output, tensors, {{"format", "pt"}}, {.force = a.force}));
  if (!std::isfinite(loss)) return NumericError(fmt::format("the loss is {}", loss));
  fmt::print("{}\n", a.json ? nlohmann::json{{"loss", loss}}.dump() : fmt::format("loss {}", loss));
  return {};
}

Status Infer(const Arguments& a) {
  WSI_RETURN_IF_ERROR(CheckOutputPath(a.output, a.force));
  WSI_ASSIGN_OR_RETURN(const Session session, OpenSession(a.plan));
  Executor& executor = *session.executor;
  WSI_ASSIGN_OR_RETURN(const int program, executor.FindProgram("infer"));
  WSI_RETURN_IF_ERROR(WriteInputs(a, executor, program));
  const Result<double> ran = executor.Run(program, kAllPhases);
  if (!ran.ok()) return ran.status();
  WSI_ASSIGN_OR_RETURN(const Tensor output, executor.ReadOutput(program, 0));
  return WriteNpy(a.output, output, {.force = a.force});
}

void AddCommonOptions(CLI::App& command, Arguments* a, const std::string& output) {
  AddPlanOptions(command, &a->plan, true);
  command.add_option("--input", a->inputs, "x.npy in ONNX's order (NCHW); one per model input")
      ->required();
  command.add_option("-o,--output", a->output, output)->required();
  command.add_flag("--force", a->force, "replace an existing file");
}

}  // namespace

void AddGradCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("grad", "loss and gradients of one step, without update");
  auto arguments = std::make_shared<Arguments>();
  AddCommonOptions(*command, arguments.get(), "gradients, as safetensors under ONNX names");
  command->add_option("--target", arguments->target, "y.npy");
  command->add_flag("--json", arguments->json, "print the loss as a JSON object");
  command->callback([=] { *exit_code = Report("grad", Grad(*arguments)); });
}

void AddInferCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("infer", "the model's first output for one input");
  auto arguments = std::make_shared<Arguments>();
  AddCommonOptions(*command, arguments.get(), "the output, as .npy");
  command->callback([=] { *exit_code = Report("infer", Infer(*arguments)); });
}

}  // namespace wsi
