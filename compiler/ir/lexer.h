// Lexer: cuts the text form of a graph into tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wsi {

enum class TokenKind : uint8_t {
  kWord,         // input, f32, Relu, true: letters, digits and "_", not first a digit
  kValueName,    // %x or %"any text"; text is the name
  kString,       // "text"; text is unescaped
  kNumber,       // 12, -1.5e-3, -inf: text as written
  kPunctuation,  // one of ( ) [ ] { } , : = @ or "<-"
  kNewline,
  kEnd,
  kBad,  // text says what is wrong
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int64_t line = 1;    // From 1.
  int64_t column = 1;  // From 1, in bytes.
};

// What a message shows of a token; at most some 40 printable characters.
std::string DescribeToken(const Token& token);

class Lexer {
 public:
  // `text` outlives the lexer.
  explicit Lexer(std::string_view text) : text_(text) {}
  // At the end and behind a bad token: the same token again.
  Token Next();

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipBlanks();
  Token Make(TokenKind kind, std::string token_text, size_t begin) const;
  Token Bad(std::string what, size_t at);
  Token Quoted(TokenKind kind, size_t begin);
  // Appends what the escape sequence at at_ stands for; false if it is none.
  bool Unescape(std::string& out);

  std::string_view text_;
  size_t at_ = 0;
  size_t line_begin_ = 0;
  int64_t line_ = 1;
  bool is_bad_ = false;
  Token bad_;
};

// `text` in double quotes, with what the lexer could not read back escaped.
std::string QuoteText(std::string_view text);
// Whether `text` is a kWord.
bool IsWord(std::string_view text);
// Whether `text` behind "%" needs no quotes.
bool IsPlainValueName(std::string_view text);

}  // namespace wsi
