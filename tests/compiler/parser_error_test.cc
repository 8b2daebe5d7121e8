#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "compiler/ir/text.h"
#include "tests/compiler/random_graph.h"

namespace wsi {
namespace {

std::string ErrorOf(std::string_view text) {
  TensorStore tensors;
  const Result<Graph> graph = ParseGraph(text, &tensors);
  if (graph.ok()) return "";
  EXPECT_EQ(graph.status().code(), ErrorCode::kInvalidInput);
  return graph.status().message();
}

struct Case {
  const char* body;  // Behind the line "wsir 1".
  const char* error;
};

TEST(ParserError, SaysWhereWhatWasExpectedAndWhatWasFound) {
  const std::array<Case, 31> cases = {{
      {"%x f32[]", "2:4: expected ':', found 'f32'"},
      {"%x : f33[] input", "2:6: expected an element type, found 'f33'"},
      {"%x : f32[1,-2] input", "2:9: negative size -2"},
      {"%x : f32[4611686018427387904,4] input", "2:9: "},
      {"%x : f32[1 2] input", "2:12: expected ',', found '2'"},
      {"%x : f32[] middle",
       "2:12: expected ',', '=' or a role (input, target, scalar, parameter, "
       "state, constant), found 'middle'"},
      {"%x : f32[] intermediate", "2:12: expected ',', '=' or a role"},
      {"%x : f32[] input\n%x : f32[] input", "3:1: expected a name not yet defined, found '%x'"},
      {"%x : f32[], %x : f32[] = Op() forward \"\"",
       "2:13: expected a name not yet defined, found '%x'"},
      {"%x : f32[] = Op(%y) forward \"\"", "2:17: expected a value defined above, found '%y'"},
      {"%x : f32[] = Op(%x) forward \"\"", "2:17: expected a value defined above, found '%x'"},
      {"%x : f32[] = Op() sideways \"\"",
       "2:19: expected a phase (forward, backward, update), found 'sideways'"},
      {"%x : f32[] = Op() forward \"\" %y", "2:30: expected the end of the line, found '%y'"},
      {"%x : f32[] = Op() {a=1, a=2} forward \"\"",
       "2:25: expected each attribute once, found 'a' again"},
      {"%x : f32[] = Op() {a=9223372036854775808} forward \"\"",
       "2:22: expected an integer of 64 bits, found '9223372036854775808'"},
      {"%x : f32[] = Op() {a=1e999} forward \"\"", "2:22: expected a number, found '1e999'"},
      {"%x : f32[] = Op() {a=[1, 2.0]} forward \"\"",
       "2:26: expected a list of one kind of number, found '2.0'"},
      {"%x : f32[] = Op() {a=[[1]]} forward \"\"", "2:23: expected a number, found '['"},
      {"%x : f32[] = Op() forward \"abc",
       "2:27: expected a quoted text, found an unterminated "
       "string"},
      {"%x : f32[] = Op() forward \"\\q\"",
       "2:28: expected a quoted text, found an unknown "
       "escape sequence"},
      {"%x : f32[2] constant tensor \"k\" = [1.0]",
       "2:35: expected 2 elements for shape [2], found 1"},
      {"%x : u8[1] constant tensor \"k\" = [256]",
       "2:35: expected an element of type u8, found '256'"},
      {"%x : f32[2] parameter permute [0,0]", "2:31: expected a permutation of 1 axes, found none"},
      {"%x : f32[] @0 input", "2:13: expected one of the 0 buffers defined below, found '@0'"},
      {"buffer @1 device offset 0 size 0 live [0,0)",
       "2:9: expected the next buffer, from 0 to 0, found '1'"},
      {"buffer @0 device offset 9223372036854775807 size 1 live [0,0)",
       "2:50: expected a size from 0 to 0, found '1'"},
      {"buffer @0 device offset 0 size 0 live [2,1)",
       "2:42: expected a step from 2 to 9223372036854775807, found '1'"},
      {"graph \"a\"\ngraph \"b\"", "3:1: expected this statement once, found 'graph'"},
      {"outputs", "2:8: expected a value, found the end of the text"},
      {"launch %x", "2:1: expected a statement, found 'launch'"},
      {"\x01", "2:1: expected a statement, found the stray byte 0x01"},
  }};
  for (const Case& c : cases) {
    EXPECT_THAT(ErrorOf(std::string("wsir 1\n") + c.body), testing::StartsWith(c.error)) << c.body;
  }
  EXPECT_EQ(ErrorOf(""), "1:1: expected 'wsir', found the end of the text");
  EXPECT_EQ(ErrorOf("wsir 2\n"), "1:6: expected a version of the text form from 1 to 1, found '2'");
}

TEST(ParserError, MessagesShowControlCharactersAndLongNamesSafely) {
  const std::string error = ErrorOf("wsir 1\n\"\\x1b[31m" + std::string(1000, 'a') + "\"");
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_LT(error.size(), 120u);
}

// Whatever is read either parses or is rejected at a place.
void ExpectCleanEnd(const std::string& text) {
  const std::string error = ErrorOf(text);
  if (error.empty()) return;
  EXPECT_THAT(error, testing::ContainsRegex("^[0-9]+:[0-9]+: "));
}

TEST(ParserError, EveryTruncationAndManyMutationsEndCleanly) {
  TensorStore tensors;
  const std::string text = PrintGraph(RandomGraph(7, &tensors).Make());
  for (size_t n = 0; n < text.size(); ++n) ExpectCleanEnd(text.substr(0, n));
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string mutated = text;
    mutated[random() % mutated.size()] = static_cast<char>(random() % 256);
    ExpectCleanEnd(mutated);
  }
}

TEST(ParserError, HostileSizesStayCheap) {
  const auto start = std::chrono::steady_clock::now();
  // Nesting, equal names in one line, attributes without end, a tensor that is only said
  // to be huge.
  ErrorOf("wsir 1\n" + std::string(1'000'000, '['));
  std::string repeated = "wsir 1\n";
  for (int i = 0; i < 200'000; ++i) repeated += "%a : f32[], ";
  EXPECT_NE(ErrorOf(repeated + "_ = Op() forward \"\""), "");
  std::string attributes = "wsir 1\n_ = Op() {";
  for (int i = 0; i < 200'000; ++i) attributes += "a" + std::to_string(i) + "=1, ";
  EXPECT_THAT(ErrorOf(attributes), testing::HasSubstr("at most 256 attributes"));
  EXPECT_THAT(ErrorOf("wsir 1\n%x : f32[1000000000000] constant tensor \"k\" = [1.0]"),
              testing::HasSubstr("expected 1000000000000 elements"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace wsi
