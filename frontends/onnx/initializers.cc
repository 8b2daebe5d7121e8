// Initializers: which role each has, and its contents.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>

#include "frontends/onnx/import_state.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

constexpr std::string_view kLossOps[] = {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"};

// What PyTorch counts beside its running statistics, and ONNX has no use for.
bool IsBatchCounter(std::string_view name) { return name.ends_with("num_batches_tracked"); }

// Follows Identity nodes from a name to the one they stand for.
class Aliases {
 public:
  void Add(const onnx::NodeProto& node) {
    if (node.op_type() != "Identity" || node.input_size() != 1 || node.output_size() != 1) return;
    root_.emplace(node.output(0), Root(node.input(0)));
  }
  const std::string& Root(const std::string& name) const {
    const auto at = root_.find(name);
    return at == root_.end() ? name : at->second;
  }

 private:
  std::unordered_map<std::string, std::string> root_;
};

const Tensor* Override(const ImportState& state, const std::string& name) {
  if (state.options.weights == nullptr) return nullptr;
  const auto at = state.options.weights->find(name);
  return at == state.options.weights->end() ? nullptr : &at->second;
}

// The contents of `proto`, or what the options give in their place.
Result<Tensor> Contents(onnx::TensorProto& proto, ImportState& state) {
  const Tensor* instead = Override(state, proto.name());
  if (instead == nullptr) return TakeTensor(proto, state.external);
  WSI_ASSIGN_OR_RETURN(const DType dtype, DTypeFromOnnx(proto.data_type()));
  WSI_ASSIGN_OR_RETURN(const Shape shape, TensorProtoShape(proto));
  if (instead->shape() != shape) {
    return InvalidInput(fmt::format("the weights given have shape {}, the model's {}",
                                    instead->shape().ToString(), shape.ToString()));
  }
  return instead->dtype() == dtype ? instead->Clone() : instead->Cast(dtype);
}

Status ImportInitializer(onnx::TensorProto& proto, Role float_role, ImportState& state) {
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Contents(proto, state));
  Value value;
  value.name = proto.name();
  value.tensor = proto.name();
  value.dtype = state.GraphType(tensor.dtype());
  value.shape = tensor.shape();
  value.role = IsFloat(tensor.dtype()) ? float_role : Role::kConstant;
  // Folding reads constants, so they have the graph's type in the store, too.
  if (value.role == Role::kConstant && value.dtype != tensor.dtype()) {
    WSI_ASSIGN_OR_RETURN(tensor, tensor.Cast(value.dtype));
  }
  state.graph.tensors().Add(proto.name(), std::move(tensor));
  state.values[proto.name()] = state.graph.AddValue(std::move(value));
  return {};
}

void CheckWeightNames(const onnx::GraphProto& graph, ImportState& state) {
  if (state.options.weights == nullptr) return;
  std::unordered_set<std::string> names;
  for (const onnx::TensorProto& proto : graph.initializer()) names.insert(proto.name());
  for (const auto& [name, tensor] : *state.options.weights) {
    if (names.contains(name) || IsBatchCounter(name)) continue;
    state.Report(name, "weights", "the model has no initializer of this name",
                 "give the weights of this model, under its initializers' names");
  }
}

}  // namespace

namespace {

// What the nodes of nested graphs read, from around them too.
void CollectNested(const onnx::NodeProto& node, std::unordered_set<std::string>& others,
                   ImportState& state) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    for (const onnx::NodeProto& inner : attribute.g().node()) {
      for (const std::string& input : inner.input()) {
        state.read_names.insert(input);
        others.insert(input);
      }
      CollectNested(inner, others, state);
    }
    for (const onnx::ValueInfoProto& output : attribute.g().output()) {
      state.read_names.insert(output.name());
      others.insert(output.name());
    }
  }
}

}  // namespace

NameUses CollectUses(const onnx::GraphProto& graph, ImportState& state) {
  Aliases aliases;
  NameUses uses;
  std::unordered_set<std::string> others;
  for (const onnx::NodeProto& node : graph.node()) {
    aliases.Add(node);
    CollectNested(node, others, state);
    const bool norm = node.op_type() == "BatchNormalization";
    const bool loss = std::ranges::find(kLossOps, node.op_type()) != std::end(kLossOps);
    for (int i = 0; i < node.input_size(); ++i) {
      const std::string& root = aliases.Root(node.input(i));
      state.read_names.insert(node.input(i));
      if (norm && (i == 3 || i == 4)) {
        uses.statistics.insert(root);
      } else if (node.op_type() != "Identity") {
        others.insert(root);
      }
      if (loss && i == 1) state.target_names.insert(root);
    }
  }
  for (const onnx::ValueInfoProto& output : graph.output()) {
    state.read_names.insert(output.name());
    others.insert(aliases.Root(output.name()));
  }
  std::erase_if(uses.statistics, [&](const std::string& name) { return others.contains(name); });
  return uses;
}

void ImportInitializers(onnx::GraphProto& graph, const NameUses& uses, ImportState& state) {
  std::optional<std::regex> freeze;
  if (!state.options.freeze.empty()) freeze.emplace(state.options.freeze);
  if (graph.sparse_initializer_size() > 0) {
    state.Report("graph", "",
                 fmt::format("has {} sparse initializers, which are not supported",
                             graph.sparse_initializer_size()),
                 "store them dense");
  }
  CheckWeightNames(graph, state);
  for (onnx::TensorProto& proto : *graph.mutable_initializer()) {
    const std::string name = proto.name();
    if (name.empty() || !IsAcceptableName(name)) {
      state.Report(name, "initializer", "has no name or one with control characters");
      continue;
    }
    if (state.values.contains(name)) {
      state.Report(name, "initializer", "is there twice");
      continue;
    }
    Role role = Role::kParameter;
    if (freeze && std::regex_match(name, *freeze)) role = Role::kConstant;
    if (uses.statistics.contains(name)) role = Role::kState;
    const Status status = ImportInitializer(proto, role, state);
    if (status.ok()) continue;
    state.values[name] = ValueId{};
    state.Report(name, "initializer", status.message());
  }
}

}  // namespace wsi
