#include "passes/optimizer.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "compiler/ops/op_def.h"
#include "passes/order_builder.h"
#include "passes/scalar_inputs.h"

namespace wsi {
namespace {

Status CheckOptions(const OptimizerOptions& options) {
  struct Number {
    std::string_view name;
    double value;
    double limit;  // The value lies in [0, limit).
  };
  const double none = INFINITY;
  const std::array<Number, 6> numbers = {{{"momentum", options.momentum, none},
                                          {"beta1", options.beta1, 1},
                                          {"beta2", options.beta2, 1},
                                          {"epsilon", options.epsilon, none},
                                          {"weight_decay", options.weight_decay, none},
                                          {"clip_norm", options.clip_norm, none}}};
  for (const Number& number : numbers) {
    if (number.value >= 0 && number.value < number.limit) continue;
    return UsageError(fmt::format("{} is {}, wanted at least 0 and {}", number.name, number.value,
                                  number.limit == none ? "finite" : "below 1"));
  }
  if (options.accumulation_steps < 1) {
    return UsageError(
        fmt::format("accumulation_steps is {}, wanted at least 1", options.accumulation_steps));
  }
  return {};
}

class OptimizerBuilder {
 public:
  OptimizerBuilder(Graph& graph, const OptimizerOptions& options)
      : graph_(graph), options_(options), pairs_(graph.gradients) {}

  Status Run() {
    type_ = graph_.value(pairs_[0].parameter).dtype == DType::kF64 ? DType::kF64 : DType::kF32;
    WSI_ASSIGN_OR_RETURN(lr_, FindOrAddScalar(graph_, "lr", type_));
    if (IsAdam()) {
      WSI_ASSIGN_OR_RETURN(step_, FindOrAddScalar(graph_, "step", DType::kI64));
    }
    if (options_.accumulation_steps > 1) WSI_RETURN_IF_ERROR(Accumulate());
    WSI_RETURN_IF_ERROR(ReduceGradients(graph_, pairs_, options_.bucket_bytes));
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      graph_.updates.push_back({accumulators_[i], pairs_[i].gradient});
    }
    const ValueId scale = graph_.FindValue("loss_scale");
    if (scale.valid() && graph_.value(scale).role == Role::kScalar) {
      loss_scale_ = scale;
      WSI_RETURN_IF_ERROR(CheckFinite());
    }
    WSI_RETURN_IF_ERROR(MakeScale());
    for (const ParameterGradient& pair : pairs_) WSI_RETURN_IF_ERROR(Update(pair));
    return ResetAccumulators();
  }

 private:
  bool IsAdam() const {
    return options_.kind == OptimizerKind::kAdam || options_.kind == OptimizerKind::kAdamW;
  }

  // A state of the parameter's type that starts at zero, stored as the parameter is.
  ValueId AddState(ValueId parameter, std::string_view suffix) {
    Value state = graph_.value(parameter);
    state.name = fmt::format("{}.{}", state.name, suffix);
    state.role = Role::kState;
    state.tensor.clear();
    return graph_.AddValue(std::move(state));
  }

  Result<ValueId> Append(std::string_view op, const std::string& name, std::vector<ValueId> inputs,
                         Attributes attributes, Phase phase = Phase::kUpdate) {
    Node node = MakeNode(op, name, std::move(inputs), std::move(attributes), phase);
    return AppendNode(graph_, std::move(node), name);
  }

  Result<ValueId> Fill(const std::string& name, double value, const Shape& shape, DType dtype) {
    return Append("Fill", name, {},
                  {{"value", value},
                   {"shape", std::vector<int64_t>(shape.begin(), shape.end())},
                   {"dtype", std::string(DTypeName(dtype))}});
  }

  // From here on the gradients are the sums over the micro-steps.
  Status Accumulate() {
    for (ParameterGradient& pair : pairs_) {
      const ValueId state = AddState(pair.parameter, "accumulator");
      const std::string name = graph_.value(state).name + ".new";
      WSI_ASSIGN_OR_RETURN(pair.gradient, Append("AccumulateGrad", name, {state, pair.gradient}, {},
                                                 Phase::kBackward));
      graph_.updates.push_back({state, pair.gradient});
      accumulators_.push_back(state);
    }
    return {};
  }

  // One flag of all gradients, checked in the order in which backward makes them.
  Status CheckFinite() {
    for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
      const std::string name = graph_.value(pair->parameter).name + ".grad.finite";
      std::vector<ValueId> inputs = {pair->gradient};
      if (finite_.valid()) inputs.push_back(finite_);
      WSI_ASSIGN_OR_RETURN(finite_, Append("AllFinite", name, std::move(inputs), {}));
    }
    WSI_ASSIGN_OR_RETURN(const ValueId state, AddFlagState(graph_, type_));
    graph_.updates.push_back({state, finite_});
    return {};
  }

  // What every gradient is multiplied by: 1 / (loss_scale * accumulation_steps), and
  // clipping.
  Status MakeScale() {
    const double mean = 1.0 / static_cast<double>(options_.accumulation_steps);
    if (options_.clip_norm > 0) return MakeClipScale(mean);
    if (options_.accumulation_steps == 1 && !loss_scale_.valid()) return {};
    const std::string name = "gradient_scale";
    WSI_ASSIGN_OR_RETURN(scale_,
                         Fill(loss_scale_.valid() ? name + ".mean" : name, mean, Shape(), type_));
    if (loss_scale_.valid()) {
      WSI_ASSIGN_OR_RETURN(scale_, Append("Div", name, {scale_, loss_scale_}, {}));
    }
    return {};
  }

  Status MakeClipScale(double mean) {
    ValueId sum;
    for (const ParameterGradient& pair : pairs_) {
      const std::string name = graph_.value(pair.parameter).name + ".grad.squared_norm";
      WSI_ASSIGN_OR_RETURN(const ValueId square, Append("SquaredNorm", name, {pair.gradient}, {}));
      if (!sum.valid()) {
        sum = square;
        continue;
      }
      WSI_ASSIGN_OR_RETURN(sum, Append("Add", "squared_norm", {sum, square}, {}));
    }
    std::vector<ValueId> inputs = {sum};
    if (loss_scale_.valid()) inputs.push_back(loss_scale_);
    WSI_ASSIGN_OR_RETURN(scale_, Append("ClipScale", "gradient_scale", std::move(inputs),
                                        {{"max_norm", options_.clip_norm}, {"scale0", mean}}));
    return {};
  }

  Status Update(const ParameterGradient& pair) {
    const bool decays = options_.decay_vectors || graph_.value(pair.parameter).shape.rank() > 1;
    Attributes attributes = {{"weight_decay", decays ? options_.weight_decay : 0.0}};
    std::vector<ValueId> states;
    std::string_view op = "SgdUpdate";
    if (IsAdam()) {
      op = "AdamUpdate";
      states = {AddState(pair.parameter, "adam_m"), AddState(pair.parameter, "adam_v")};
      attributes.Set("beta1", options_.beta1);
      attributes.Set("beta2", options_.beta2);
      attributes.Set("epsilon", options_.epsilon);
      attributes.Set("decoupled", int64_t{options_.kind == OptimizerKind::kAdamW});
    } else if (options_.kind != OptimizerKind::kSgd) {
      op = "MomentumUpdate";
      states = {AddState(pair.parameter, "momentum")};
      attributes.Set("momentum", options_.momentum);
      attributes.Set("nesterov", int64_t{options_.kind == OptimizerKind::kNesterov});
    }
    return AppendUpdate(op, pair, states, std::move(attributes));
  }

  Status AppendUpdate(std::string_view op, const ParameterGradient& pair,
                      const std::vector<ValueId>& states, Attributes attributes) {
    std::vector<ValueId> updated = {pair.parameter};
    updated.insert(updated.end(), states.begin(), states.end());
    Node node = MakeNode(op, graph_.value(pair.parameter).name + ".update",
                         {pair.parameter, pair.gradient}, std::move(attributes), Phase::kUpdate);
    node.inputs.insert(node.inputs.end(), states.begin(), states.end());
    node.inputs.push_back(lr_);
    if (step_.valid()) node.inputs.push_back(step_);
    if (scale_.valid()) node.inputs.push_back(scale_);
    if (finite_.valid()) node.inputs.push_back(finite_);
    std::vector<std::string> names;
    names.reserve(updated.size());
    for (const ValueId id : updated) names.push_back(graph_.value(id).name + ".new");
    const NodeId id = graph_.AddNode(std::move(node), names);
    WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
    for (size_t i = 0; i < updated.size(); ++i) {
      graph_.updates.push_back({updated[i], graph_.node(id).outputs[i]});
    }
    return {};
  }

  Status ResetAccumulators() {
    for (const ValueId state : accumulators_) {
      const Value value = graph_.value(state);
      WSI_ASSIGN_OR_RETURN(const ValueId zero,
                           Fill(value.name + ".reset", 0, value.shape, value.dtype));
      graph_.updates.push_back({state, zero});
    }
    return {};
  }

  Graph& graph_;
  const OptimizerOptions& options_;
  std::vector<ParameterGradient> pairs_;  // With the gradients that the updates read.
  std::vector<ValueId> accumulators_;
  DType type_ = DType::kF32;  // Of scalars.
  ValueId lr_;
  ValueId step_;
  ValueId loss_scale_;  // Invalid: the gradients are true ones.
  ValueId finite_;
  ValueId scale_;
};

}  // namespace

Result<bool> AddOptimizer(Graph& graph, const OptimizerOptions& options, PassContext&) {
  WSI_RETURN_IF_ERROR(CheckOptions(options));
  if (graph.gradients.empty()) return InvalidInput("there are no gradients to update with");
  WSI_RETURN_IF_ERROR(OptimizerBuilder(graph, options).Run());
  return true;
}

}  // namespace wsi
