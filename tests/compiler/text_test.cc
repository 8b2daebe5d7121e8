#include "compiler/ir/text.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/compiler/random_graph.h"

namespace wsi {
namespace {

TEST(Text, RandomGraphsRoundTrip) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    TensorStore tensors;
    const Graph graph = RandomGraph(seed, &tensors).Make();
    const std::string text = PrintGraph(graph);
    const Result<Graph> parsed = ParseGraph(text, &tensors);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message() << "\n" << text;
    EXPECT_TRUE(*parsed == graph) << "seed " << seed << "\n" << text;
    EXPECT_EQ(HashGraph(*parsed), HashGraph(graph));
    EXPECT_EQ(PrintGraph(*parsed), text);
  }
}

TEST(Text, InlineConstantsComeBackBitForBit) {
  int constants = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    TensorStore tensors;
    const Graph graph = RandomGraph(seed, &tensors).Make();
    TensorStore fresh;
    const Result<Graph> parsed = ParseGraph(PrintGraph(graph), &fresh);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    for (int32_t i = 0; i < graph.value_count(); ++i) {
      if (!IsPrintedInline(graph, ValueId{i})) continue;
      const std::string& key = graph.value(ValueId{i}).tensor;
      ASSERT_NE(fresh.Find(key), nullptr);
      EXPECT_TRUE(*fresh.Find(key) == *tensors.Find(key)) << PrintGraph(graph);
      ++constants;
    }
  }
  EXPECT_GT(constants, 100);
}

TEST(Text, PrintsAsDocumented) {
  const std::string text =
      "wsir 1\n"
      "graph \"tiny\"\n"
      "\n"
      "%x : f32[1,4] @2 input\n"
      "%w : f32[3,4] @0 parameter tensor \"fc.weight\" permute [1, 0]\n"
      "%two : f32[] @1 constant tensor \"two\" = [2.0]\n"
      "%\"old mean\" : f32[] state\n"
      "%three : i64[1] constant tensor \"three\" = i32[1] [3]\n"
      "\n"
      "%y : f32[1,3] @3 = Gemm(%x, %w, _) {alpha=1.0, transB=1} forward \"fc\" workspace 64 @4\n"
      "%z : f32[1,3] @3, _ = Dropout(%y, %two) {ratio=0.5, x=floats[]} forward \"drop\"\n"
      "%mean : f32[] = Blend(%\"old mean\", %three) update \"mean\"\n"
      "\n"
      "outputs %z, %y\n"
      "loss %two\n"
      "update %\"old mean\" <- %mean\n"
      "gradient %w <- %w\n"
      "\n"
      "arena 4096\n"
      "buffer @0 device offset 0 size 48 live [0,2)\n"
      "buffer @1 device offset 256 size 4 live [0,2)\n"
      "buffer @2 device offset 512 size 16 live [0,1)\n"
      "buffer @3 host offset 768 size 12 live [0,2)\n"
      "buffer @4 file offset 1024 size 64 live [0,1)\n";
  TensorStore tensors;
  const Result<Graph> graph = ParseGraph(text, &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(PrintGraph(*graph), text);
}

TEST(Text, DropsDeclarationsThatNothingNames) {
  TensorStore tensors;
  const Result<Graph> graph = ParseGraph(
      "wsir 1 # version\r\n\n%x : f32[] input\n%c : f32[] constant\n# nothing else\n", &tensors);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_TRUE(graph->FindValue("x").valid());
  EXPECT_FALSE(graph->FindValue("c").valid());
}

TEST(Text, AttributesKeepNanAndKinds) {
  const Result<Attributes> parsed =
      ParseAttributes("{a=nan, b=-inf, c=[], d=floats[], e=\"\", \"f g\"=[1.0, inf]}");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_TRUE(std::isnan(parsed->Float("a", 0)));
  EXPECT_EQ(PrintAttributes(*parsed),
            "{a=nan, b=-inf, c=[], d=floats[], e=\"\", \"f g\"=[1.0, inf]}");
}

}  // namespace
}  // namespace wsi
