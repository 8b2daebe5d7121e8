// Moving averages of statistics: old * momentum + current * (1 - momentum). A step has two for
// each batch norm, of few numbers each: those that follow each other run in one launch.
#include <functional>
#include <vector>

#include "runtime/backends/cuda/joint_table.cuh"
#include "runtime/backends/cuda/moving_average.h"

namespace wsi::cuda {
namespace {

template <typename T>
struct AverageEntry {
  int64_t count;
  int64_t first_block;
  const T* old;
  const T* current;
  T* result;
  T momentum;
  T rest;  // 1 - momentum
};
constexpr int kMostAverages = 64;
template <typename T>
using AverageTable = Table<AverageEntry<T>, kMostAverages>;

template <typename T>
__global__ void AverageKernel(AverageTable<T> table) {
  int64_t begin = 0;
  int64_t end = 0;
  const AverageEntry<T>& e = table.Find(&begin, &end);
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    e.result[i] = e.old[i] * e.momentum + e.current[i] * e.rest;
  }
}

template <typename T>
AverageEntry<T> EntryOf(const LaunchSpec& launch, const LaunchArguments& a) {
  const double momentum = LaunchCheck(launch).Float("momentum");
  return {.count = launch.outputs[0].shape.ElementCount(),
          .first_block = 0,
          .old = a.input<T>(0),
          .current = a.input<T>(1),
          .result = a.output<T>(0),
          .momentum = static_cast<T>(momentum),
          .rest = static_cast<T>(1 - momentum)};
}

template <typename T>
void RunTable(const AverageTable<T>& table, cudaStream_t stream) {
  static_assert(sizeof(AverageTable<T>) <= kMostArgumentBytes);
  if (table.blocks == 0) return;
  AverageKernel<T><<<static_cast<unsigned>(table.blocks), kThreads, 0, stream>>>(table);
}

// Whether one reads nothing that another writes, and no two write the same. A result may lie
// over its own operand.
template <typename T>
bool AreIndependent(const std::vector<AverageEntry<T>>& entries) {
  const auto meet = [](const AverageEntry<T>& a, const T* other, const AverageEntry<T>& b) {
    return std::less<>()(a.result, other + b.count) && std::less<>()(other, a.result + a.count);
  };
  for (const AverageEntry<T>& a : entries) {
    for (const AverageEntry<T>& b : entries) {
      if (&a == &b) continue;
      if (meet(a, b.old, b) || meet(a, b.current, b) || meet(a, b.result, b)) return false;
    }
  }
  return true;
}

}  // namespace

KernelResult CompileMovingAverage(const LaunchSpec& launch, Context& context) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("**", "*"));
  check.InputIs(1, check.input(0));
  check.OutputIs(0, check.input(0));
  check.InputIs(1, check.input_type(0));
  check.OutputIs(0, check.input_type(0));
  check.Float("momentum");
  WSI_RETURN_IF_ERROR(check.status());
  return ForWide(launch, check.input_type(0), [&]<typename T>(std::type_identity<T>) {
    return MakeKernel([entry = EntryOf<T>(launch, {}), &context](const LaunchArguments& a) {
      AverageEntry<T> own = entry;
      own.old = a.input<T>(0);
      own.current = a.input<T>(1);
      own.result = a.output<T>(0);
      AverageTable<T> table;
      WSI_CHECK(table.Add(own));
      RunTable(table, context.stream);
      return LaunchStatus();
    });
  });
}

KernelResult CompileJointAverages(JointLaunches all, Context& context) {
  const DType type = all.launches[0].inputs[0].dtype;
  for (const LaunchSpec& launch : all.launches) {
    if (launch.inputs[0].dtype != type) return std::unique_ptr<Kernel>();
  }
  return ForWide(all.launches[0], type, [&]<typename T>(std::type_identity<T>) -> KernelResult {
    std::vector<AverageEntry<T>> entries;
    for (size_t i = 0; i < all.launches.size(); ++i) {
      entries.push_back(EntryOf<T>(all.launches[i], all.arguments[i]));
    }
    if (!AreIndependent(entries)) return std::unique_ptr<Kernel>();
    return MakeKernel([tables = MakeTables<AverageEntry<T>, kMostAverages>(entries),
                       &context](const LaunchArguments&) {
      for (const AverageTable<T>& table : tables) RunTable(table, context.stream);
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
