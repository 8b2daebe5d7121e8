#include "runtime/train/run_ranks.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>

#include "runtime/comm/agreement.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/train/checkpoint.h"

namespace wsi {
namespace {

// A prediction as bytes: row, number of classes, probabilities.
void Pack(const SlidePrediction& prediction, std::string& bytes) {
  const auto count = static_cast<int64_t>(prediction.probabilities.size());
  const auto append = [&](const void* data, size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  };
  append(&prediction.row, sizeof(int64_t));
  append(&count, sizeof(count));
  append(prediction.probabilities.data(), prediction.probabilities.size() * sizeof(double));
}

void Unpack(const std::string& bytes, std::vector<SlidePrediction>& predictions) {
  size_t at = 0;
  const auto take = [&](void* data, size_t size) {
    WSI_CHECK(size <= bytes.size() - at);
    if (size > 0) std::memcpy(data, bytes.data() + at, size);
    at += size;
  };
  while (at < bytes.size()) {
    SlidePrediction& prediction = predictions.emplace_back();
    int64_t count = 0;
    take(&prediction.row, sizeof(int64_t));
    take(&count, sizeof(count));
    prediction.probabilities.resize(static_cast<size_t>(count));
    take(prediction.probabilities.data(), prediction.probabilities.size() * sizeof(double));
  }
}

template <typename T>
Status GatherSum(Communicator& communicator, std::span<T> values) {
  WSI_RETURN_IF_ERROR(communicator.Mean(values, SumOrder::kByRanks));
  const T ranks = communicator.rank() == 0 ? static_cast<T>(communicator.size()) : T(0);
  for (T& value : values) value = ranks == 0 ? T(0) : value * ranks;
  return {};
}

}  // namespace

std::vector<int64_t> ShareOfRank(std::span<const int64_t> rows, int64_t batch, int rank,
                                 int ranks) {
  std::vector<int64_t> share;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<int64_t>(i) / batch % ranks == rank) share.push_back(rows[i]);
  }
  return share;
}

Status BroadcastPersistents(Communicator& communicator, Executor& executor, SharedState which) {
  if (communicator.size() == 1) return {};
  const plan::Plan& plan = executor.plan();
  for (int i = 0; i < plan.persistents_size(); ++i) {
    const plan::Persistent& persistent = plan.persistents(i);
    const plan::Role role = plan.values(persistent.value()).role();
    const bool is_statistic = role == plan::ROLE_STATE && !persistent.optimizer_state();
    if (role == plan::ROLE_CONSTANT || (which == SharedState::kStatistics && !is_statistic)) {
      continue;
    }
    WSI_ASSIGN_OR_RETURN(Tensor tensor, executor.ReadPersistent(i));
    WSI_RETURN_IF_ERROR(communicator.Broadcast(tensor.bytes(), 0));
    if (communicator.rank() != 0) WSI_RETURN_IF_ERROR(executor.WritePersistent(i, tensor));
  }
  return {};
}

Status GatherAccumulators(Communicator& communicator, Executor& executor) {
  const plan::Plan& plan = executor.plan();
  for (int i = 0; i < plan.persistents_size(); ++i) {
    if (!IsZeroBetweenSteps(plan, i)) continue;
    WSI_ASSIGN_OR_RETURN(Tensor tensor, executor.ReadPersistent(i));
    WSI_RETURN_IF_ERROR(tensor.dtype() == DType::kF64
                            ? GatherSum(communicator, tensor.data<double>())
                            : GatherSum(communicator, tensor.data<float>()));
    WSI_RETURN_IF_ERROR(executor.WritePersistent(i, tensor));
  }
  return {};
}

Result<std::vector<SlidePrediction>> PredictOnRanks(Communicator& communicator, Executor& executor,
                                                    const Manifest& manifest,
                                                    const std::vector<int64_t>& rows,
                                                    const LoaderOptions& options,
                                                    Progress* progress) {
  if (communicator.size() == 1) return Predict(executor, manifest, rows, options, progress);
  LoaderOptions own = options;
  own.delivered_before = 1;  // Whether every slide was bad shows when all are together.
  const Result<std::vector<SlidePrediction>> predicted =
      Predict(executor, manifest, ShareOfRank(rows, 1, communicator.rank(), communicator.size()),
              own, communicator.rank() == 0 ? progress : nullptr);
  WSI_RETURN_IF_ERROR(Agree(communicator, predicted.ok() ? Status() : predicted.status()));
  std::string bytes;
  for (const SlidePrediction& prediction : *predicted) Pack(prediction, bytes);
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> gathered, communicator.Gather(bytes));
  std::vector<SlidePrediction> all;
  for (const std::string& part : gathered) Unpack(part, all);
  if (all.empty() && !rows.empty()) return InvalidInput("none of the slides could be read");
  std::unordered_map<int64_t, size_t> place;
  for (size_t i = 0; i < rows.size(); ++i) place.emplace(rows[i], i);
  std::sort(all.begin(), all.end(), [&](const SlidePrediction& a, const SlidePrediction& b) {
    return place.at(a.row) < place.at(b.row);
  });
  return all;
}

}  // namespace wsi
