#include "compiler/ir/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace wsi {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsWordChar(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }
bool IsNumberChar(char c) { return IsLetter(c) || IsDigit(c) || c == '.' || c == '-' || c == '+'; }
bool IsValueNameChar(char c) { return IsWordChar(c) || c == '.' || c == '/' || c == '-'; }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool IsWord(std::string_view text) {
  return !text.empty() && !IsDigit(text[0]) && std::all_of(text.begin(), text.end(), IsWordChar);
}

bool IsPlainValueName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsValueNameChar);
}

std::string QuoteText(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (IsControl(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string DescribeToken(const Token& token) {
  constexpr size_t kShown = 40;
  switch (token.kind) {
    case TokenKind::kNewline: return "the end of the line";
    case TokenKind::kEnd: return "the end of the text";
    case TokenKind::kBad: return token.text;
    default: break;
  }
  std::string shown = QuoteText(token.text.substr(0, kShown));
  shown = shown.substr(1, shown.size() - 2);
  if (token.text.size() > kShown) shown += "...";
  return fmt::format("'{}{}'", token.kind == TokenKind::kValueName ? "%" : "", shown);
}

Token Lexer::Make(TokenKind kind, std::string token_text, size_t begin) const {
  return {kind, std::move(token_text), line_, static_cast<int64_t>(begin - line_begin_) + 1};
}

Token Lexer::Bad(std::string what, size_t at) {
  is_bad_ = true;
  bad_ = Make(TokenKind::kBad, std::move(what), at);
  return bad_;
}

void Lexer::SkipBlanks() {
  while (Peek() == ' ' || Peek() == '\t' || Peek() == '\r') ++at_;
  if (Peek() != '#') return;
  while (at_ < text_.size() && text_[at_] != '\n') ++at_;
}

bool Lexer::Unescape(std::string& out) {
  const std::string_view rest = text_.substr(at_);
  if (rest.size() < 2) return false;
  if (rest[1] == '"' || rest[1] == '\\' || rest[1] == 'n') {
    out += rest[1] == 'n' ? '\n' : rest[1];
    at_ += 2;
    return true;
  }
  if (rest[1] != 'x' || rest.size() < 4) return false;
  const int high = HexDigit(rest[2]);
  const int low = HexDigit(rest[3]);
  if (high < 0 || low < 0) return false;
  out += static_cast<char>(high * 16 + low);
  at_ += 4;
  return true;
}

Token Lexer::Quoted(TokenKind kind, size_t begin) {
  ++at_;  // The opening quote.
  std::string out;
  while (Peek() != '"') {
    if (at_ >= text_.size() || IsControl(Peek())) return Bad("an unterminated string", begin);
    if (Peek() == '\\') {
      if (!Unescape(out)) return Bad("an unknown escape sequence", at_);
    } else {
      out += text_[at_++];
    }
  }
  ++at_;
  return Make(kind, std::move(out), begin);
}

Token Lexer::Next() {
  if (is_bad_) return bad_;
  SkipBlanks();
  const size_t begin = at_;
  if (at_ >= text_.size()) return Make(TokenKind::kEnd, "", begin);
  const auto take_while = [&](bool (*belongs)(char)) {
    const size_t from = at_;
    while (at_ < text_.size() && belongs(text_[at_])) ++at_;
    return std::string(text_.substr(from, at_ - from));
  };
  const char c = Peek();
  if (c == '\n') {
    Token newline = Make(TokenKind::kNewline, "", begin);
    ++at_;
    ++line_;
    line_begin_ = at_;
    return newline;
  }
  if (c == '"') return Quoted(TokenKind::kString, begin);
  if (c == '%') {
    ++at_;
    if (Peek() == '"') return Quoted(TokenKind::kValueName, begin);
    std::string name = take_while(IsValueNameChar);
    if (name.empty()) return Bad("'%' without a name", begin);
    return Make(TokenKind::kValueName, std::move(name), begin);
  }
  if (IsLetter(c) || c == '_') return Make(TokenKind::kWord, take_while(IsWordChar), begin);
  if (IsDigit(c) || c == '-') return Make(TokenKind::kNumber, take_while(IsNumberChar), begin);
  if (text_.substr(at_, 2) == "<-") {
    at_ += 2;
    return Make(TokenKind::kPunctuation, "<-", begin);
  }
  if (std::string_view("()[]{},:=@").find(c) != std::string_view::npos) {
    ++at_;
    return Make(TokenKind::kPunctuation, std::string(1, c), begin);
  }
  return Bad(fmt::format("the stray byte 0x{:02x}", static_cast<unsigned char>(c)), begin);
}

}  // namespace wsi
