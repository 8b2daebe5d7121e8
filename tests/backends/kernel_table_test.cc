// The reference's kernel table against the operator table.
#include "runtime/backends/reference/kernel_table.h"

#include <gtest/gtest.h>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

TEST(ReferenceKernelTable, NamesEveryOperatorOnceInOrder) {
  const auto table = reference::KernelTable();
  const auto ops = AllOps();
  ASSERT_EQ(table.size(), ops.size());
  for (size_t i = 0; i < ops.size(); ++i) EXPECT_EQ(table[i].op, ops[i]->name);
}

TEST(ReferenceKernelTable, HasAKernelOrAReason) {
  for (const reference::KernelEntry& entry : reference::KernelTable()) {
    EXPECT_NE(entry.compile != nullptr, !entry.none_because.empty()) << entry.op;
  }
}

}  // namespace
}  // namespace wsi
