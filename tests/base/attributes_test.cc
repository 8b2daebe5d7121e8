#include "runtime/base/attributes.h"

#include <gtest/gtest.h>

namespace wsi {
namespace {

TEST(Attributes, StaysSortedAndReplaces) {
  Attributes attributes = {{"strides", std::vector<int64_t>{2, 2}}, {"group", int64_t{4}}};
  attributes.Set("group", int64_t{8});
  attributes.Set("alpha", 0.5);
  ASSERT_EQ(attributes.entries().size(), 3U);
  EXPECT_EQ(attributes.entries()[0].first, "alpha");
  EXPECT_EQ(attributes.entries()[1].first, "group");
  EXPECT_EQ(attributes.Int("group", 1), 8);
  EXPECT_EQ(attributes.Ints("strides"), (std::vector<int64_t>{2, 2}));
}

TEST(Attributes, GivesDefaultsAndConvertsIntegers) {
  Attributes attributes = {{"alpha", int64_t{2}}};
  EXPECT_EQ(attributes.Float("alpha", 0), 2.0);
  EXPECT_EQ(attributes.Float("beta", 0.25), 0.25);
  EXPECT_EQ(attributes.String("mode", "constant"), "constant");
  attributes.Erase("alpha");
  EXPECT_FALSE(attributes.Has("alpha"));
}

}  // namespace
}  // namespace wsi
