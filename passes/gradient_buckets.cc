#include "passes/gradient_buckets.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/ops/collective.h"
#include "compiler/ops/op_def.h"
#include "passes/order_builder.h"

namespace wsi {
namespace {

class BucketBuilder {
 public:
  BucketBuilder(Graph& graph, Bytes bucket_bytes) : graph_(graph), bucket_bytes_(bucket_bytes) {}

  Status Add(ValueId gradient);
  Status Close();
  ValueId mean(ValueId gradient) const { return means_.at(gradient.index); }

 private:
  Graph& graph_;
  Bytes bucket_bytes_;
  std::unordered_map<int32_t, ValueId> means_;  // By gradient; invalid: its bucket is open.
  std::vector<ValueId> bucket_;                 // The gradients of the open one.
  Bytes bytes_ = 0;
  int buckets_ = 0;
};

Status BucketBuilder::Add(ValueId gradient) {
  if (!means_.try_emplace(gradient.index, ValueId()).second) return {};
  const Value& value = graph_.value(gradient);
  const Bytes size = value.shape.ByteCount(value.dtype);
  const bool is_other_type = !bucket_.empty() && graph_.value(bucket_[0]).dtype != value.dtype;
  if (size >= bucket_bytes_ || is_other_type) WSI_RETURN_IF_ERROR(Close());
  bucket_.push_back(gradient);
  bytes_ += size;
  const bool is_full = bytes_ >= bucket_bytes_ || bucket_.size() == kMostReduced;
  return is_full ? Close() : Status();
}

Status BucketBuilder::Close() {
  if (bucket_.empty()) return {};
  std::vector<std::string> names;
  names.reserve(bucket_.size());
  for (const ValueId gradient : bucket_) names.push_back(graph_.value(gradient).name + ".mean");
  Node node =
      MakeNode("AllReduce", fmt::format("gradients.{}", buckets_++), bucket_, {}, Phase::kUpdate);
  const NodeId id = graph_.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  for (size_t i = 0; i < bucket_.size(); ++i) {
    means_[bucket_[i].index] = graph_.node(id).outputs[i];
  }
  bucket_.clear();
  bytes_ = 0;
  return {};
}

}  // namespace

Status ReduceGradients(Graph& graph, std::span<ParameterGradient> pairs, Bytes bucket_bytes) {
  BucketBuilder buckets(graph, bucket_bytes);
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) {
    WSI_RETURN_IF_ERROR(buckets.Add(pair->gradient));
  }
  WSI_RETURN_IF_ERROR(buckets.Close());
  for (ParameterGradient& pair : pairs) pair.gradient = buckets.mean(pair.gradient);
  return {};
}

}  // namespace wsi
