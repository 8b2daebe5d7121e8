// What an optimizer does to many parameters, in few launches: updates, and the check that
// gradients are finite.
#include <optional>
#include <vector>

#include "runtime/backends/cuda/joint_table.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/update_rules.cuh"

namespace wsi::cuda {
namespace {

template <typename G>
struct UpdateEntry : Updated<G> {
  int64_t first_block;
  double weight_decay;
};
constexpr int kMostUpdates = 40;
template <typename G>
using UpdateTable = Table<UpdateEntry<G>, kMostUpdates>;

// What all updates of a step share.
struct StepOperands {
  const float* lr;
  const int64_t* step;
  const float* scale;
  const float* finite;
  bool operator==(const StepOperands&) const = default;
};

template <typename Rule, typename G>
__global__ void JointUpdateKernel(Rule rule, StepOperands shared, UpdateTable<G> table) {
  int64_t begin = 0;
  int64_t end = 0;
  const UpdateEntry<G>& u = table.Find(&begin, &end);
  const bool skip = shared.finite != nullptr && *shared.finite == 0;
  const float scale = shared.scale != nullptr ? *shared.scale : 1;
  rule.weight_decay = u.weight_decay;
  const auto step = rule.Prepare(static_cast<double>(*shared.lr),
                                 shared.step != nullptr ? static_cast<double>(*shared.step) : 0);
  const int64_t wide_end = u.wide ? begin + (end - begin) / 4 * 4 : begin;
  for (int64_t i = begin + 4 * threadIdx.x; i < wide_end; i += 4 * kThreads) {
    UpdateElements<Rule, G, 4>(u, step, scale, skip, i);
  }
  for (int64_t i = wide_end + threadIdx.x; i < end; i += kThreads) {
    UpdateElements<Rule, G, 1>(u, step, scale, skip, i);
  }
}

template <typename Rule, typename G>
UpdateEntry<G> EntryOf(const LaunchSpec& launch, const LaunchArguments& a, double weight_decay) {
  UpdateEntry<G> entry{};
  static_cast<Updated<G>&>(entry) =
      Updated<G>::Of(launch.inputs[0].shape.ElementCount(), Rule::kStates, a);
  entry.weight_decay = weight_decay;
  return entry;
}

template <typename Rule>
StepOperands SharedOf(const LaunchArguments& a) {
  constexpr size_t kRate = 2 + Rule::kStates;
  constexpr size_t kScale = kRate + (Rule::kStates == 2 ? 2 : 1);
  return {.lr = a.input<float>(kRate),
          .step = Rule::kStates == 2 ? a.input<int64_t>(kRate + 1) : nullptr,
          .scale = a.input<float>(kScale),
          .finite = a.input<float>(kScale + 1)};
}

// Every launch by itself has been compiled, so its operands and attributes are as they
// should be. Null where launches share less than the kernel takes them to.
template <typename Rule>
KernelResult JoinUpdates(JointLaunches all, Rule (*read)(LaunchCheck&), Context& context) {
  const DType type = all.launches[0].inputs[1].dtype;
  const StepOperands shared = SharedOf<Rule>(all.arguments[0]);
  std::optional<Rule> rule;
  std::vector<double> decays;
  for (size_t i = 0; i < all.launches.size(); ++i) {
    LaunchCheck check(all.launches[i]);
    Rule own = read(check);
    WSI_RETURN_IF_ERROR(check.status());
    decays.push_back(own.weight_decay);
    own.weight_decay = 0;
    if (!rule) rule = own;
    if (own != *rule || all.launches[i].inputs[1].dtype != type ||
        SharedOf<Rule>(all.arguments[i]) != shared) {
      return std::unique_ptr<Kernel>();
    }
  }
  return ForStorage(all.launches[0], type, [&]<typename G>(std::type_identity<G>) {
    static_assert(sizeof(Rule) + sizeof(shared) + sizeof(UpdateTable<G>) <= kMostArgumentBytes);
    std::vector<UpdateEntry<G>> entries;
    for (size_t i = 0; i < all.launches.size(); ++i) {
      entries.push_back(EntryOf<Rule, G>(all.launches[i], all.arguments[i], decays[i]));
    }
    return MakeKernel(
        [rule = *rule, shared, &context,
         tables = MakeTables<UpdateEntry<G>, kMostUpdates>(entries)](const LaunchArguments&) {
          for (const UpdateTable<G>& table : tables) {
            if (table.blocks == 0) continue;
            JointUpdateKernel<Rule, G>
                <<<static_cast<unsigned>(table.blocks), kThreads, 0, context.stream>>>(rule, shared,
                                                                                       table);
          }
          return LaunchStatus();
        });
  });
}

template <typename T>
struct FiniteEntry {
  int64_t count;
  int64_t first_block;
  const T* x;
};
constexpr int kMostChecks = 160;
template <typename T>
using FiniteTable = Table<FiniteEntry<T>, kMostChecks>;

template <typename T>
__global__ void BeginFlag(const T* before, T* flag) {
  *flag = before != nullptr ? *before : T{1};
}

// All that write `flag` write 0.
template <typename T, typename F>
__global__ void JointFiniteKernel(FiniteTable<T> table, F* flag) {
  constexpr int kWidth = kWide<T>;
  int64_t begin = 0;
  int64_t end = 0;
  const FiniteEntry<T>& entry = table.Find(&begin, &end);
  bool fine = true;
  const int64_t wide_end = IsAligned(entry.x) ? begin + (end - begin) / kWidth * kWidth : begin;
#pragma unroll 4
  for (int64_t i = begin + kWidth * threadIdx.x; i < wide_end; i += kWidth * kThreads) {
    Computed<T> v[kWidth];
    LoadPack<T, kWidth>(entry.x + i, v);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) fine &= static_cast<bool>(isfinite(v[e]));
  }
  for (int64_t i = wide_end + threadIdx.x; i < end; i += kThreads) {
    fine &= static_cast<bool>(isfinite(Load(entry.x[i])));
  }
  if (!fine) *flag = 0;
}

// Whether each launch goes on with the flag that the one before it left.
bool IsChain(JointLaunches all) {
  for (size_t i = 1; i < all.launches.size(); ++i) {
    if (all.launches[i].inputs[0].dtype != all.launches[0].inputs[0].dtype) return false;
    if (all.arguments[i].input<std::byte>(1) != all.arguments[i - 1].output<std::byte>(0)) {
      return false;
    }
  }
  return true;
}

// The links of a chain whose flags lie in one place. Plans write each flag over the one
// before it, but the last into the state that keeps it.
template <typename T, typename F>
struct FiniteLinks {
  const F* before;
  F* flag;
  std::vector<FiniteTable<T>> tables;
};

template <typename T, typename F>
std::vector<FiniteLinks<T, F>> LinksOf(JointLaunches all) {
  std::vector<FiniteLinks<T, F>> result;
  for (size_t i = 0; i < all.launches.size();) {
    FiniteLinks<T, F> links{.before = all.arguments[i].template input<F>(1),
                            .flag = all.arguments[i].template output<F>(0),
                            .tables = {}};
    std::vector<FiniteEntry<T>> entries;
    for (; i < all.launches.size() && all.arguments[i].template output<F>(0) == links.flag; ++i) {
      entries.push_back({all.launches[i].inputs[0].shape.ElementCount(), 0,
                         all.arguments[i].template input<T>(0)});
    }
    links.tables = MakeTables<FiniteEntry<T>, kMostChecks>(entries);
    result.push_back(std::move(links));
  }
  return result;
}

}  // namespace

KernelResult CompileJointUpdates(JointLaunches all, Context& context) {
  if (all.launches[0].op == "SgdUpdate") return JoinUpdates<Sgd>(all, ReadSgd, context);
  if (all.launches[0].op == "MomentumUpdate") {
    return JoinUpdates<Momentum>(all, ReadMomentum, context);
  }
  return JoinUpdates<Adam>(all, ReadAdam, context);
}

KernelResult CompileJointFinite(JointLaunches all, Context& context) {
  if (!IsChain(all)) return std::unique_ptr<Kernel>();
  const LaunchSpec& first = all.launches[0];
  return ForFloat(first, first.inputs[0].dtype, [&]<typename T>(std::type_identity<T>) {
    using F = std::conditional_t<std::is_same_v<T, double>, double, float>;
    static_assert(sizeof(FiniteTable<T>) + sizeof(F*) <= kMostArgumentBytes);
    return MakeKernel([links = LinksOf<T, F>(all), &context](const LaunchArguments&) {
      for (const FiniteLinks<T, F>& l : links) {
        if (l.before != l.flag) BeginFlag<F><<<1, 1, 0, context.stream>>>(l.before, l.flag);
        for (const FiniteTable<T>& table : l.tables) {
          if (table.blocks == 0) continue;
          JointFiniteKernel<T, F>
              <<<static_cast<unsigned>(table.blocks), kThreads, 0, context.stream>>>(table, l.flag);
        }
      }
      return LaunchStatus();
    });
  });
}

}  // namespace wsi::cuda
