// docs/operators.md ends with the operator tables that the code prints.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "frontends/onnx/onnx_operators.h"

namespace wsi {
namespace {

TEST(OperatorsPage, IsWhatTheCodeSays) {
  std::ifstream file("docs/operators.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(page.ends_with(OperatorsPage()))
      << "write the tables anew: keep the page's heading and append the output of `wsic ops`";
}

}  // namespace
}  // namespace wsi
