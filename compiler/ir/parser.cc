// A recursive-descent parser without recursion: the grammar has no nesting beyond one
// list inside one attribute map.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "compiler/ir/text.h"
#include "compiler/ir/text_names.h"
#include "compiler/ir/token_reader.h"

namespace wsi {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxBuffer = std::numeric_limits<int32_t>::max();
constexpr size_t kMaxTextBytes = size_t{1} << 30;

// "%x : f32[1,3] @2", or "_".
struct TypedOutput {
  Token name;  // Text empty: absent.
  DType dtype = DType::kF32;
  Shape shape;
  Tier tier = Tier::kDevice;
  BufferId buffer;
};

class Parser {
 public:
  Parser(std::string_view text, TensorStore* tensors) : reader_(text), graph_(tensors) {}

  Result<Graph> Run() &&;

 private:
  Status Statement();
  Status ValueOrNode();
  Result<TypedOutput> Typed();
  Status Declaration(const TypedOutput& output);
  Status Contents(const Value& value, const Token& key);
  Status NodeStatement(const std::vector<TypedOutput>& outputs);
  Result<std::vector<ValueId>> Operands();
  Status NodeTail(Node& node);
  Status AddNode(Node node, const std::vector<TypedOutput>& outputs);
  Status OutputsStatement();
  Status BufferStatement();
  Result<std::pair<ValueId, ValueId>> Arrow();
  Result<ValueId> KnownValue();
  Tier OptionalTier();
  Result<BufferId> OptionalBuffer();
  Status CheckBuffers() const;
  // Fails if this statement was there before.
  Status Once(bool& seen);

  TokenReader reader_;
  Graph graph_;
  bool has_graph_ = false;
  bool has_outputs_ = false;
  bool has_loss_ = false;
  std::array<bool, kTierCount> has_arena_{};
  Token max_buffer_at_;  // The highest buffer named so far, and where.
  int32_t max_buffer_ = -1;
};

Status Parser::Once(bool& seen) {
  if (seen) return reader_.Expected("this statement once");
  seen = true;
  return {};
}

Result<ValueId> Parser::KnownValue() {
  if (!reader_.Is(TokenKind::kValueName)) return reader_.Expected("a value");
  const ValueId id = graph_.FindValue(reader_.token().text);
  if (!id.valid()) return reader_.Expected("a value defined above");
  reader_.Take();
  return id;
}

Result<BufferId> Parser::OptionalBuffer() {
  if (!reader_.TakeIf("@")) return BufferId{};
  const Token at = reader_.token();
  WSI_ASSIGN_OR_RETURN(const int64_t index, reader_.Int("a buffer", 0, kMaxBuffer - 1));
  if (index > max_buffer_) {
    max_buffer_ = static_cast<int32_t>(index);
    max_buffer_at_ = at;
  }
  return BufferId{static_cast<int32_t>(index)};
}

// Nothing: the device.
Tier Parser::OptionalTier() {
  const std::optional<Tier> tier =
      reader_.Is(TokenKind::kWord) ? TierFromWord(reader_.token().text) : std::nullopt;
  if (tier) reader_.Take();
  return tier.value_or(Tier::kDevice);
}

Result<TypedOutput> Parser::Typed() {
  TypedOutput output;
  if (reader_.IsWord("_")) {
    reader_.Take();
    return output;
  }
  if (!reader_.Is(TokenKind::kValueName) || reader_.token().text.empty()) {
    return reader_.Expected("a value or '_'");
  }
  if (graph_.FindValue(reader_.token().text).valid()) {
    return reader_.Expected("a name not yet defined");
  }
  output.name = reader_.Take();
  WSI_RETURN_IF_ERROR(reader_.Punctuation(":"));
  WSI_ASSIGN_OR_RETURN(output.dtype, reader_.Type());
  WSI_ASSIGN_OR_RETURN(output.shape, reader_.Sizes());
  output.tier = OptionalTier();
  WSI_ASSIGN_OR_RETURN(output.buffer, OptionalBuffer());
  return output;
}

Status Parser::Contents(const Value& value, const Token& key) {
  DType dtype = value.dtype;
  Shape shape = value.shape;
  if (!reader_.IsPunctuation("[")) {
    WSI_ASSIGN_OR_RETURN(dtype, reader_.Type());
    WSI_ASSIGN_OR_RETURN(shape, reader_.Sizes());
  }
  WSI_ASSIGN_OR_RETURN(Tensor tensor, reader_.Elements(dtype, shape));
  const Tensor* known = graph_.tensors().Find(value.tensor);
  if (known == nullptr) {
    graph_.tensors().Add(value.tensor, std::move(tensor));
  } else if (!(*known == tensor)) {
    return TokenReader::ErrorAt(key, fmt::format("expected the contents that tensor {} has "
                                                 "elsewhere, found others",
                                                 DescribeToken(key)));
  }
  return {};
}

Status Parser::Declaration(const TypedOutput& output) {
  const std::optional<Role> role =
      reader_.Is(TokenKind::kWord) ? RoleFromWord(reader_.token().text) : std::nullopt;
  if (!role || *role == Role::kIntermediate || output.name.text.empty()) {
    return reader_.Expected(
        "',', '=' or a role (input, target, scalar, parameter, state, constant)");
  }
  reader_.Take();
  Value value;
  value.name = output.name.text;
  value.dtype = output.dtype;
  value.shape = output.shape;
  value.role = *role;
  value.tier = output.tier;
  value.buffer = output.buffer;
  Token key;
  if (reader_.IsWord("tensor")) {
    reader_.Take();
    key = reader_.token();
    WSI_ASSIGN_OR_RETURN(value.tensor, reader_.String());
    if (value.tensor.empty()) return TokenReader::ErrorAt(key, "expected a key, found ''");
  }
  if (reader_.IsWord("permute")) {
    reader_.Take();
    const Token at = reader_.token();
    WSI_ASSIGN_OR_RETURN(value.permutation, reader_.Ints("an axis"));
    std::vector<int64_t> sorted = value.permutation;
    std::sort(sorted.begin(), sorted.end());
    bool is_permutation = static_cast<int>(sorted.size()) == value.shape.rank();
    for (size_t i = 0; i < sorted.size(); ++i) {
      is_permutation = is_permutation && sorted[i] == static_cast<int64_t>(i);
    }
    if (!is_permutation || sorted.empty()) {
      return TokenReader::ErrorAt(
          at, fmt::format("expected a permutation of {} axes, found none", value.shape.rank()));
    }
  }
  if (!value.tensor.empty() && value.role == Role::kConstant && reader_.TakeIf("=")) {
    WSI_RETURN_IF_ERROR(Contents(value, key));
  }
  graph_.AddValue(std::move(value));
  return {};
}

Result<std::vector<ValueId>> Parser::Operands() {
  WSI_RETURN_IF_ERROR(reader_.Punctuation("("));
  std::vector<ValueId> inputs;
  while (!reader_.IsPunctuation(")")) {
    if (!inputs.empty()) WSI_RETURN_IF_ERROR(reader_.Punctuation(","));
    if (reader_.IsWord("_")) {
      reader_.Take();
      inputs.emplace_back();
      continue;
    }
    WSI_ASSIGN_OR_RETURN(const ValueId input, KnownValue());
    inputs.push_back(input);
  }
  reader_.Take();
  return inputs;
}

Status Parser::NodeTail(Node& node) {
  if (reader_.IsPunctuation("{")) {
    WSI_ASSIGN_OR_RETURN(node.attributes, reader_.AttributeMap());
  }
  const std::optional<Phase> phase =
      reader_.Is(TokenKind::kWord) ? PhaseFromWord(reader_.token().text) : std::nullopt;
  if (!phase) return reader_.Expected("a phase (forward, backward, update)");
  reader_.Take();
  node.phase = *phase;
  WSI_ASSIGN_OR_RETURN(node.name, reader_.String());
  if (reader_.IsWord("workspace")) {
    reader_.Take();
    WSI_ASSIGN_OR_RETURN(node.workspace_bytes, reader_.Int("a size", 0, kMaxInt));
    WSI_ASSIGN_OR_RETURN(node.workspace, OptionalBuffer());
  }
  return {};
}

Status Parser::AddNode(Node node, const std::vector<TypedOutput>& outputs) {
  std::vector<std::string> names;
  std::unordered_set<std::string> in_this_line;
  for (const TypedOutput& output : outputs) {
    names.push_back(output.name.text);
    if (!names.back().empty() && !in_this_line.insert(names.back()).second) {
      return TokenReader::ErrorAt(
          output.name,
          fmt::format("expected a name not yet defined, found {}", DescribeToken(output.name)));
    }
  }
  const NodeId id = graph_.AddNode(std::move(node), names);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (names[i].empty()) continue;
    Value& value = graph_.value(graph_.node(id).outputs[i]);
    value.dtype = outputs[i].dtype;
    value.shape = outputs[i].shape;
    value.tier = outputs[i].tier;
    value.buffer = outputs[i].buffer;
  }
  return {};
}

Status Parser::NodeStatement(const std::vector<TypedOutput>& outputs) {
  WSI_RETURN_IF_ERROR(reader_.Punctuation("="));
  Node node;
  WSI_ASSIGN_OR_RETURN(node.op, reader_.WordOrString("an operator"));
  WSI_ASSIGN_OR_RETURN(node.inputs, Operands());
  WSI_RETURN_IF_ERROR(NodeTail(node));
  return AddNode(std::move(node), outputs);
}

Status Parser::ValueOrNode() {
  std::vector<TypedOutput> outputs;
  if (reader_.TakeIf("(")) {  // "() = Op(...)": a node without outputs.
    WSI_RETURN_IF_ERROR(reader_.Punctuation(")"));
    return NodeStatement(outputs);
  }
  WSI_ASSIGN_OR_RETURN(TypedOutput first, Typed());
  if (!reader_.IsPunctuation("=") && !reader_.IsPunctuation(",")) return Declaration(first);
  outputs.push_back(std::move(first));
  while (reader_.TakeIf(",")) {
    WSI_ASSIGN_OR_RETURN(TypedOutput next, Typed());
    outputs.push_back(std::move(next));
  }
  return NodeStatement(outputs);
}

Status Parser::OutputsStatement() {
  do {
    WSI_ASSIGN_OR_RETURN(const ValueId output, KnownValue());
    graph_.outputs.push_back(output);
  } while (reader_.TakeIf(","));
  return {};
}

Result<std::pair<ValueId, ValueId>> Parser::Arrow() {
  WSI_ASSIGN_OR_RETURN(const ValueId to, KnownValue());
  WSI_RETURN_IF_ERROR(reader_.Punctuation("<-"));
  WSI_ASSIGN_OR_RETURN(const ValueId from, KnownValue());
  return std::pair(to, from);
}

Status Parser::BufferStatement() {
  WSI_RETURN_IF_ERROR(reader_.Punctuation("@"));
  const auto next = static_cast<int64_t>(graph_.buffers.size());
  WSI_RETURN_IF_ERROR(reader_.Int("the next buffer,", next, next).status());
  const std::optional<Tier> tier =
      reader_.Is(TokenKind::kWord) ? TierFromWord(reader_.token().text) : std::nullopt;
  if (!tier) return reader_.Expected("a tier (device, host, file)");
  reader_.Take();
  Buffer buffer;
  buffer.tier = *tier;
  WSI_RETURN_IF_ERROR(reader_.Word("offset"));
  WSI_ASSIGN_OR_RETURN(buffer.offset, reader_.Int("an offset", 0, kMaxInt));
  WSI_RETURN_IF_ERROR(reader_.Word("size"));
  WSI_ASSIGN_OR_RETURN(buffer.size, reader_.Int("a size", 0, kMaxInt - buffer.offset));
  WSI_RETURN_IF_ERROR(reader_.Word("live"));
  WSI_RETURN_IF_ERROR(reader_.Punctuation("["));
  WSI_ASSIGN_OR_RETURN(buffer.begin, reader_.Int("a step", 0, kMaxInt));
  WSI_RETURN_IF_ERROR(reader_.Punctuation(","));
  WSI_ASSIGN_OR_RETURN(buffer.end, reader_.Int("a step", buffer.begin, kMaxInt));
  WSI_RETURN_IF_ERROR(reader_.Punctuation(")"));
  graph_.buffers.push_back(buffer);
  return {};
}

Status Parser::Statement() {
  const TokenReader& r = reader_;
  if (r.Is(TokenKind::kValueName) || r.IsWord("_") || r.IsPunctuation("(")) return ValueOrNode();
  if (!r.Is(TokenKind::kWord)) return r.Expected("a statement");
  if (r.IsWord("graph")) WSI_RETURN_IF_ERROR(Once(has_graph_));
  if (r.IsWord("outputs")) WSI_RETURN_IF_ERROR(Once(has_outputs_));
  if (r.IsWord("loss")) WSI_RETURN_IF_ERROR(Once(has_loss_));
  const Token keyword = reader_.Take();
  if (keyword.text == "graph") {
    WSI_ASSIGN_OR_RETURN(graph_.name, reader_.String());
    return {};
  }
  if (keyword.text == "outputs") return OutputsStatement();
  if (keyword.text == "loss") {
    WSI_ASSIGN_OR_RETURN(graph_.loss, KnownValue());
    return {};
  }
  if (keyword.text == "arena") {
    const auto tier = static_cast<size_t>(OptionalTier());
    WSI_RETURN_IF_ERROR(Once(has_arena_[tier]));
    WSI_ASSIGN_OR_RETURN(graph_.arena_bytes[tier], reader_.Int("a size", 0, kMaxInt));
    return {};
  }
  if (keyword.text == "buffer") return BufferStatement();
  if (keyword.text != "update" && keyword.text != "gradient") {
    return TokenReader::ErrorAt(
        keyword, fmt::format("expected a statement, found {}", DescribeToken(keyword)));
  }
  WSI_ASSIGN_OR_RETURN(const auto pair, Arrow());
  if (keyword.text == "update") {
    graph_.updates.push_back({pair.first, pair.second});
  } else {
    graph_.gradients.push_back({pair.first, pair.second});
  }
  return {};
}

Status Parser::CheckBuffers() const {
  if (max_buffer_ < static_cast<int64_t>(graph_.buffers.size())) return {};
  return TokenReader::ErrorAt(
      max_buffer_at_, fmt::format("expected one of the {} buffers defined below, found '@{}'",
                                  graph_.buffers.size(), max_buffer_));
}

Result<Graph> Parser::Run() && {
  while (reader_.Is(TokenKind::kNewline)) reader_.Take();
  WSI_RETURN_IF_ERROR(reader_.Word("wsir"));
  WSI_RETURN_IF_ERROR(reader_.Int("a version of the text form", 1, 1).status());
  WSI_RETURN_IF_ERROR(reader_.EndOfLine());
  while (!reader_.Is(TokenKind::kEnd)) {
    if (reader_.Is(TokenKind::kNewline)) {
      reader_.Take();
      continue;
    }
    WSI_RETURN_IF_ERROR(Statement());
    WSI_RETURN_IF_ERROR(reader_.EndOfLine());
  }
  WSI_RETURN_IF_ERROR(CheckBuffers());
  graph_.Compact();
  return std::move(graph_);
}

}  // namespace

Result<Graph> ParseGraph(std::string_view text, TensorStore* tensors) {
  if (text.size() > kMaxTextBytes) {
    return InvalidInput(fmt::format("1:1: expected at most {}, found {}",
                                    FormatBytes(static_cast<Bytes>(kMaxTextBytes)),
                                    FormatBytes(static_cast<Bytes>(text.size()))));
  }
  return Parser(text, tensors).Run();
}

Result<Attributes> ParseAttributes(std::string_view text) {
  TokenReader reader(text);
  WSI_ASSIGN_OR_RETURN(Attributes attributes, reader.AttributeMap());
  if (!reader.Is(TokenKind::kEnd)) return reader.Expected("the end of the text");
  return attributes;
}

}  // namespace wsi
