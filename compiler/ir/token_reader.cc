#include "compiler/ir/token_reader.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "compiler/ir/numbers_text.h"

namespace wsi {
namespace {

// Attributes keep a sorted vector, so a node with very many would cost quadratic time.
constexpr size_t kMaxAttributes = 256;

}  // namespace

Status TokenReader::ErrorAt(const Token& at, std::string_view text) {
  return InvalidInput(fmt::format("{}:{}: {}", at.line, at.column, text));
}

Status TokenReader::Expected(std::string_view what) const {
  return ErrorAt(token_, fmt::format("expected {}, found {}", what, DescribeToken(token_)));
}

Token TokenReader::Take() {
  Token taken = std::move(token_);
  token_ = lexer_.Next();
  return taken;
}

bool TokenReader::TakeIf(std::string_view punctuation) {
  if (!IsPunctuation(punctuation)) return false;
  Take();
  return true;
}

Status TokenReader::Punctuation(std::string_view text) {
  if (!TakeIf(text)) return Expected(fmt::format("'{}'", text));
  return {};
}

Status TokenReader::Word(std::string_view text) {
  if (!IsWord(text)) return Expected(fmt::format("'{}'", text));
  Take();
  return {};
}

Status TokenReader::EndOfLine() {
  if (Is(TokenKind::kEnd)) return {};
  if (!Is(TokenKind::kNewline)) return Expected("the end of the line");
  Take();
  return {};
}

Result<std::string> TokenReader::String() {
  if (!Is(TokenKind::kString)) return Expected("a quoted text");
  return Take().text;
}

Result<std::string> TokenReader::WordOrString(std::string_view what) {
  if (!Is(TokenKind::kWord) && !Is(TokenKind::kString)) return Expected(what);
  return Take().text;
}

Result<int64_t> TokenReader::Int(std::string_view what, int64_t min, int64_t max) {
  const std::optional<int64_t> value =
      Is(TokenKind::kNumber) ? ReadInt(token_.text) : std::optional<int64_t>();
  if (!value || *value < min || *value > max) {
    return Expected(fmt::format("{} from {} to {}", what, min, max));
  }
  Take();
  return *value;
}

Result<std::vector<int64_t>> TokenReader::Ints(std::string_view what) {
  WSI_RETURN_IF_ERROR(Punctuation("["));
  std::vector<int64_t> values;
  while (!IsPunctuation("]")) {
    if (!values.empty()) WSI_RETURN_IF_ERROR(Punctuation(","));
    WSI_ASSIGN_OR_RETURN(const int64_t value, Int(what, std::numeric_limits<int64_t>::min(),
                                                  std::numeric_limits<int64_t>::max()));
    values.push_back(value);
  }
  Take();
  return values;
}

Result<DType> TokenReader::Type() {
  if (!Is(TokenKind::kWord)) return Expected("an element type");
  Result<DType> dtype = ParseDType(token_.text);
  if (!dtype.ok()) return Expected("an element type");
  Take();
  return dtype;
}

Result<Shape> TokenReader::Sizes() {
  const Token at = token_;
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, Ints("a size"));
  Result<Shape> shape = Shape::Make(sizes);
  if (!shape.ok()) return ErrorAt(at, shape.status().message());
  return shape;
}

bool TokenReader::AtNumber() const {
  return Is(TokenKind::kNumber) || IsWord("inf") || IsWord("nan");
}

Result<Tensor> TokenReader::Elements(DType dtype, const Shape& shape) {
  const Token at = token_;
  std::vector<Token> numbers;
  WSI_RETURN_IF_ERROR(Punctuation("["));
  while (!IsPunctuation("]")) {
    if (!numbers.empty()) WSI_RETURN_IF_ERROR(Punctuation(","));
    if (!AtNumber()) return Expected("an element");
    numbers.push_back(Take());
  }
  Take();
  // Compared before anything is allocated: the memory is bounded by the text's.
  if (static_cast<int64_t>(numbers.size()) != shape.ElementCount()) {
    return ErrorAt(at, fmt::format("expected {} elements for shape {}, found {}",
                                   shape.ElementCount(), shape.ToString(), numbers.size()));
  }
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(dtype, shape));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!ReadElement(numbers[i].text, tensor, i)) {
      return ErrorAt(numbers[i], fmt::format("expected an element of type {}, found {}",
                                             DTypeName(dtype), DescribeToken(numbers[i])));
    }
  }
  return tensor;
}

Result<AttributeValue> TokenReader::AttributeNumber() {
  if (Is(TokenKind::kNumber) && LooksLikeInt(token_.text)) {
    const std::optional<int64_t> value = ReadInt(token_.text);
    if (!value) return Expected("an integer of 64 bits");
    Take();
    return AttributeValue(*value);
  }
  const std::optional<double> value = AtNumber() ? ReadDouble(token_.text) : std::nullopt;
  if (!value) return Expected("a number");
  Take();
  return AttributeValue(*value);
}

// A list is of doubles if its first number is one; "floats[]" is the empty one.
Result<AttributeValue> TokenReader::AttributeList() {
  const bool is_floats = IsWord("floats");
  if (is_floats) Take();
  WSI_RETURN_IF_ERROR(Punctuation("["));
  std::vector<int64_t> ints;
  std::vector<double> floats;
  while (!IsPunctuation("]")) {
    if (!ints.empty() || !floats.empty()) WSI_RETURN_IF_ERROR(Punctuation(","));
    const Token at = token_;
    WSI_ASSIGN_OR_RETURN(const AttributeValue value, AttributeNumber());
    const auto* i = std::get_if<int64_t>(&value);
    if (i != nullptr ? !floats.empty() || is_floats : !ints.empty()) {
      return ErrorAt(
          at, fmt::format("expected a list of one kind of number, found {}", DescribeToken(at)));
    }
    if (i != nullptr) {
      ints.push_back(*i);
    } else {
      floats.push_back(std::get<double>(value));
    }
  }
  Take();
  if (is_floats || !floats.empty()) return AttributeValue(std::move(floats));
  return AttributeValue(std::move(ints));
}

Result<AttributeValue> TokenReader::OneAttribute() {
  if (Is(TokenKind::kString)) return AttributeValue(Take().text);
  if (IsPunctuation("[") || IsWord("floats")) return AttributeList();
  if (AtNumber()) return AttributeNumber();
  return Expected("a number, a quoted text or a list");
}

Result<Attributes> TokenReader::AttributeMap() {
  WSI_RETURN_IF_ERROR(Punctuation("{"));
  Attributes attributes;
  while (!IsPunctuation("}")) {
    if (!attributes.entries().empty()) WSI_RETURN_IF_ERROR(Punctuation(","));
    const Token at = token_;
    WSI_ASSIGN_OR_RETURN(const std::string name, WordOrString("an attribute's name"));
    if (attributes.Has(name)) {
      return ErrorAt(
          at, fmt::format("expected each attribute once, found {} again", DescribeToken(at)));
    }
    if (attributes.entries().size() >= kMaxAttributes) {
      return ErrorAt(at, fmt::format("expected at most {} attributes, found more", kMaxAttributes));
    }
    WSI_RETURN_IF_ERROR(Punctuation("="));
    WSI_ASSIGN_OR_RETURN(AttributeValue value, OneAttribute());
    attributes.Set(name, std::move(value));
  }
  Take();
  return attributes;
}

}  // namespace wsi
