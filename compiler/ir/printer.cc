#include <fmt/format.h>

#include "compiler/ir/lexer.h"
#include "compiler/ir/numbers_text.h"
#include "compiler/ir/text.h"
#include "compiler/ir/text_names.h"

namespace wsi {
namespace {

constexpr int64_t kMaxInlineElements = 16;

std::string ValueText(const Graph& graph, ValueId id) {
  if (!id.valid()) return "_";
  const std::string& name = graph.value(id).name;
  return "%" + (IsPlainValueName(name) ? name : QuoteText(name));
}

std::string WordOrQuoted(std::string_view text) {
  return IsWord(text) ? std::string(text) : QuoteText(text);
}

std::string TypeText(DType dtype, const Shape& shape) {
  return std::string(DTypeName(dtype)) + shape.ToString();
}

template <typename T, typename PrintOne>
std::string ListText(const std::vector<T>& values, PrintOne print) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ", ";
    out += print(values[i]);
  }
  return out + "]";
}

std::string IntsText(const std::vector<int64_t>& values) {
  return ListText(values, [](int64_t value) { return fmt::to_string(value); });
}

std::string AttributeText(const AttributeValue& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return fmt::to_string(*i);
  if (const auto* f = std::get_if<double>(&value)) return PrintDouble(*f);
  if (const auto* s = std::get_if<std::string>(&value)) return QuoteText(*s);
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) return IntsText(*ints);
  const auto& floats = std::get<std::vector<double>>(value);
  return floats.empty() ? "floats[]" : ListText(floats, PrintDouble);
}

// "%x : f32[1,3] @2"
std::string TypedText(const Graph& graph, ValueId id) {
  if (!id.valid()) return "_";
  const Value& value = graph.value(id);
  std::string out =
      fmt::format("{} : {}", ValueText(graph, id), TypeText(value.dtype, value.shape));
  if (value.tier != Tier::kDevice) out += fmt::format(" {}", TierWord(value.tier));
  if (value.buffer.valid()) out += fmt::format(" @{}", value.buffer.index);
  return out;
}

std::string DeclarationText(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  std::string out = fmt::format("{} {}", TypedText(graph, id), RoleWord(value.role));
  if (!value.tensor.empty()) out += " tensor " + QuoteText(value.tensor);
  if (!value.permutation.empty()) out += " permute " + IntsText(value.permutation);
  if (IsPrintedInline(graph, id)) {
    const Tensor& tensor = *graph.tensors().Find(value.tensor);
    out += " = ";
    if (tensor.dtype() != value.dtype || tensor.shape() != value.shape) {
      out += TypeText(tensor.dtype(), tensor.shape()) + " ";
    }
    out += PrintElements(tensor);
  }
  return out + "\n";
}

std::string NodeText(const Graph& graph, const Node& node) {
  std::string out;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (i > 0) out += ", ";
    out += TypedText(graph, node.outputs[i]);
  }
  if (node.outputs.empty()) out += "()";
  out += fmt::format(" = {}(", WordOrQuoted(node.op));
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) out += ", ";
    out += ValueText(graph, node.inputs[i]);
  }
  out += ")";
  if (!node.attributes.entries().empty()) out += " " + PrintAttributes(node.attributes);
  out += fmt::format(" {} {}", PhaseWord(node.phase), QuoteText(node.name));
  if (node.workspace_bytes != 0 || node.workspace.valid()) {
    out += fmt::format(" workspace {}", node.workspace_bytes);
    if (node.workspace.valid()) out += fmt::format(" @{}", node.workspace.index);
  }
  return out + "\n";
}

std::string ResultsText(const Graph& graph) {
  std::string out;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    out += (i == 0 ? "outputs " : ", ") + ValueText(graph, graph.outputs[i]);
  }
  if (!graph.outputs.empty()) out += "\n";
  if (graph.loss.valid()) out += fmt::format("loss {}\n", ValueText(graph, graph.loss));
  for (const StateUpdate& update : graph.updates) {
    out += fmt::format("update {} <- {}\n", ValueText(graph, update.state),
                       ValueText(graph, update.value));
  }
  for (const ParameterGradient& pair : graph.gradients) {
    out += fmt::format("gradient {} <- {}\n", ValueText(graph, pair.parameter),
                       ValueText(graph, pair.gradient));
  }
  return out;
}

std::string BuffersText(const Graph& graph) {
  std::string out;
  for (int t = 0; t < kTierCount; ++t) {
    const Bytes bytes = graph.arena_bytes[static_cast<size_t>(t)];
    if (bytes == 0) continue;
    const auto tier = static_cast<Tier>(t);
    out += tier == Tier::kDevice ? fmt::format("arena {}\n", bytes)
                                 : fmt::format("arena {} {}\n", TierWord(tier), bytes);
  }
  for (size_t i = 0; i < graph.buffers.size(); ++i) {
    const Buffer& buffer = graph.buffers[i];
    out += fmt::format("buffer @{} {} offset {} size {} live [{},{})\n", i, TierWord(buffer.tier),
                       buffer.offset, buffer.size, buffer.begin, buffer.end);
  }
  return out;
}

}  // namespace

bool IsPrintedInline(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.role != Role::kConstant || value.tensor.empty()) return false;
  const Tensor* tensor = graph.tensors().Find(value.tensor);
  return tensor != nullptr && tensor->shape().ElementCount() <= kMaxInlineElements;
}

std::string PrintAttributes(const Attributes& attributes) {
  std::string out = "{";
  for (const Attributes::Entry& entry : attributes.entries()) {
    if (out.size() > 1) out += ", ";
    out += WordOrQuoted(entry.first) + "=" + AttributeText(entry.second);
  }
  return out + "}";
}

std::string PrintGraph(const Graph& graph) {
  std::string out = fmt::format("wsir 1\ngraph {}\n", QuoteText(graph.name));
  const auto add_section = [&out](const std::string& section) {
    if (!section.empty()) out += "\n" + section;
  };
  std::string declarations;
  for (int32_t i = 0; i < graph.value_count(); ++i) {
    if (graph.value(ValueId{i}).role != Role::kIntermediate) {
      declarations += DeclarationText(graph, ValueId{i});
    }
  }
  add_section(declarations);
  std::string nodes;
  for (const NodeId id : graph.order()) nodes += NodeText(graph, graph.node(id));
  add_section(nodes);
  add_section(ResultsText(graph));
  add_section(BuffersText(graph));
  return out;
}

}  // namespace wsi
