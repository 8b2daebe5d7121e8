#include "passes/gradient_emitter.h"

#include <fmt/format.h>

#include <utility>

#include "passes/order_builder.h"

namespace wsi {

ValueId GradientSums::Find(ValueId value) const {
  const auto at = sums_.find(value);
  return at == sums_.end() ? ValueId{} : at->second;
}

Status GradientSums::Accumulate(ValueId value, ValueId gradient) {
  const auto [at, is_first] = sums_.emplace(value, gradient);
  if (is_first) return {};
  const std::string name = graph_.value(value).name + ".grad.sum";
  Node add = MakeNode("Add", name, {at->second, gradient}, {}, Phase::kBackward);
  WSI_ASSIGN_OR_RETURN(at->second, AppendNode(graph_, std::move(add), name));
  return {};
}

GradientEmitter::GradientEmitter(Graph& graph, const Graph& forward, NodeId node,
                                 const GradientPaths& paths, GradientSums& sums)
    : graph_(graph), node_(node), paths_(paths), sums_(sums), view_(forward, node) {}

ValueId GradientEmitter::Input(int i) const {
  WSI_CHECK(view_.HasInput(i));
  return graph_.node(node_).inputs[static_cast<size_t>(i)];
}

ValueId GradientEmitter::Output(int i) const {
  const std::vector<ValueId>& outputs = graph_.node(node_).outputs;
  WSI_CHECK(i >= 0 && static_cast<size_t>(i) < outputs.size());
  return outputs[static_cast<size_t>(i)];
}

ValueId GradientEmitter::RequestOutput(int i) {
  const std::vector<ValueId>& outputs = graph_.node(node_).outputs;
  if (static_cast<size_t>(i) < outputs.size() && outputs[static_cast<size_t>(i)].valid()) {
    return outputs[static_cast<size_t>(i)];
  }
  const std::string name = fmt::format("{}.out{}", graph_.value(outputs[0]).name, i);
  const ValueId output = graph_.AddOutput(node_, i, name);
  const Status typed = InferTypes(graph_, node_);
  if (!typed.ok()) request_error_ = typed;
  return output;
}

ValueId GradientEmitter::OutputGrad(int i) const {
  const std::vector<ValueId>& outputs = graph_.node(node_).outputs;
  if (i < 0 || static_cast<size_t>(i) >= outputs.size()) return {};
  return sums_.Find(outputs[static_cast<size_t>(i)]);
}

bool GradientEmitter::WantsInputGrad(int i) const {
  return view_.HasInput(i) && paths_.Contains(Input(i));
}

void GradientEmitter::SetInputGrad(int i, ValueId gradient) {
  WSI_CHECK(view_.HasInput(i));
  input_gradients_[i] = gradient;
}

Result<ValueId> GradientEmitter::Emit(std::string_view op, std::vector<ValueId> inputs,
                                      Attributes attributes) {
  WSI_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs,
                       EmitMany(op, std::move(inputs), std::move(attributes), 1));
  return outputs[0];
}

Result<std::vector<ValueId>> GradientEmitter::EmitMany(std::string_view op,
                                                       std::vector<ValueId> inputs,
                                                       Attributes attributes, int outputs) {
  const std::string base = view_.name().empty() ? view_.output(0).name : view_.name();
  const std::string name =
      emitted_ == 0 ? base + ".grad" : fmt::format("{}.grad.{}", base, emitted_);
  ++emitted_;
  Node node = MakeNode(op, name, std::move(inputs), std::move(attributes), Phase::kBackward);
  const std::vector<std::string> names(static_cast<size_t>(outputs), name + ".tmp");
  const NodeId id = graph_.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  unnamed_.insert(graph_.node(id).outputs.begin(), graph_.node(id).outputs.end());
  return graph_.node(id).outputs;
}

Status GradientEmitter::Finish() {
  WSI_RETURN_IF_ERROR(request_error_);
  for (const auto& [i, gradient] : input_gradients_) {
    if (!WantsInputGrad(i)) continue;  // A rule that makes all at once.
    const ValueId input = Input(i);
    const Value& wanted = graph_.value(input);
    const Value& given = graph_.value(gradient);
    if (wanted.dtype != given.dtype || wanted.shape != given.shape) {
      return InternalError(
          fmt::format("{} '{}': its gradient rule gives {}{} for input {}, which is {}{}",
                      view_.op(), view_.name(), DTypeName(given.dtype), given.shape.ToString(), i,
                      DTypeName(wanted.dtype), wanted.shape.ToString()));
    }
    // Named after the first value that it is the gradient of.
    if (unnamed_.erase(gradient) != 0) graph_.RenameValue(gradient, wanted.name + ".grad");
    WSI_RETURN_IF_ERROR(sums_.Accumulate(input, gradient));
  }
  return {};
}

}  // namespace wsi
