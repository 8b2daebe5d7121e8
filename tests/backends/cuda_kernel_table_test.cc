// CUDA's kernel table against the operator table.
#include <gtest/gtest.h>

#include "compiler/ops/op_def.h"
#include "runtime/backends/cuda/kernel_table.h"

namespace wsi {
namespace {

TEST(CudaKernelTable, NamesEveryOperatorOnceInOrder) {
  std::vector<std::string_view> named;
  for (const cuda::KernelEntry& entry : cuda::KernelTable()) named.push_back(entry.op);
  std::vector<std::string_view> wanted;
  for (const OpDef* op : AllOps()) wanted.push_back(op->name);
  EXPECT_EQ(named, wanted);
}

TEST(CudaKernelTable, HasAKernelOrAReason) {
  for (const cuda::KernelEntry& entry : cuda::KernelTable()) {
    EXPECT_NE(entry.compile != nullptr, !entry.none_because.empty()) << entry.op;
  }
}

}  // namespace
}  // namespace wsi
