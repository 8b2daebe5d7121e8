#include "runtime/executor/launch_operands.h"

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

std::vector<OperandSpec> SpecsOf(const plan::Plan& plan,
                                 const google::protobuf::RepeatedField<int32_t>& values) {
  std::vector<OperandSpec> specs;
  for (const int32_t v : values) {
    OperandSpec& spec = specs.emplace_back();
    if (v == -1) continue;
    spec = {
        .present = true, .dtype = ValueDType(plan.values(v)), .shape = ValueShape(plan.values(v))};
  }
  return specs;
}

}  // namespace

LaunchOperands::LaunchOperands(const plan::Plan& plan, const plan::Instruction& instruction)
    : instruction_(instruction),
      attributes_(AttributesOf(instruction.launch().attributes())),
      inputs_(SpecsOf(plan, instruction.launch().inputs())),
      outputs_(SpecsOf(plan, instruction.launch().outputs())) {
  const int32_t workspace = instruction.launch().workspace();
  if (workspace != -1) workspace_bytes_ = plan.buffers(workspace).size();
}

LaunchSpec LaunchOperands::spec() const {
  return {.op = instruction_.launch().op(),
          .node = instruction_.name(),
          .attributes = attributes_,
          .inputs = inputs_,
          .outputs = outputs_,
          .workspace_bytes = workspace_bytes_};
}

}  // namespace wsi
