// docs/operators.md ends with the operator table that the code prints.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "compiler/ops/op_docs.h"

namespace wsi {
namespace {

TEST(OperatorsPage, IsWhatTheCodeSays) {
  std::ifstream file("docs/operators.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(page.ends_with(OperatorTable()))
      << "write the table anew: keep the page's heading and append the output of `wsic ops`";
}

}  // namespace
}  // namespace wsi
