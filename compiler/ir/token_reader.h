// TokenReader: takes tokens from a text one by one and says what was expected where
// something else stands. Shared by the parsers of graphs, attributes and pass lists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/lexer.h"
#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"
#include "runtime/base/tensor.h"

namespace wsi {

class TokenReader {
 public:
  // `text` outlives the reader.
  explicit TokenReader(std::string_view text) : lexer_(text), token_(lexer_.Next()) {}

  const Token& token() const { return token_; }
  bool Is(TokenKind kind) const { return token_.kind == kind; }
  bool IsPunctuation(std::string_view text) const {
    return Is(TokenKind::kPunctuation) && token_.text == text;
  }
  bool IsWord(std::string_view text) const { return Is(TokenKind::kWord) && token_.text == text; }

  // Returns the token and goes on.
  Token Take();
  // Goes on if the token is that punctuation.
  bool TakeIf(std::string_view punctuation);

  // Each takes one thing or fails with what was expected and found.
  Status Punctuation(std::string_view text);
  Status Word(std::string_view text);
  Status EndOfLine();
  Result<std::string> String();
  Result<std::string> WordOrString(std::string_view what);
  Result<int64_t> Int(std::string_view what, int64_t min, int64_t max);
  Result<std::vector<int64_t>> Ints(std::string_view what);  // "[1, 2]"
  Result<DType> Type();
  Result<Shape> Sizes();  // "[1,3]"
  Result<Attributes> AttributeMap();
  // "[1.0, 2.0]" as the elements of a tensor of that type and shape.
  Result<Tensor> Elements(DType dtype, const Shape& shape);

  // "LINE:COLUMN: expected WHAT, found TOKEN" at the current token.
  Status Expected(std::string_view what) const;
  // "LINE:COLUMN: TEXT" at `at`.
  static Status ErrorAt(const Token& at, std::string_view text);

 private:
  Result<AttributeValue> OneAttribute();
  Result<AttributeValue> AttributeList();
  Result<AttributeValue> AttributeNumber();
  bool AtNumber() const;

  Lexer lexer_;
  Token token_;
};

}  // namespace wsi
