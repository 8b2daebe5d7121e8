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
  BucketBuilder(Graph& graph, Bytes bucket_bytes)
      : graph_(graph),
        bucket_bytes_(bucket_bytes),
        maker_(static_cast<size_t>(graph.value_count())),
        readers_(maker_.size(), 0) {
    for (const NodeId id : graph.order()) {
      for (const ValueId output : graph.node(id).outputs) {
        if (output.valid()) maker_[static_cast<size_t>(output.index)] = id;
      }
      for (const ValueId input : graph.node(id).inputs) CountReader(input);
    }
    for (const ValueId output : graph.outputs) CountReader(output);
    CountReader(graph.loss);
  }

  Status Add(ValueId gradient);
  Status Close();
  ValueId mean(ValueId gradient) const { return means_.at(gradient.index); }

 private:
  void CountReader(ValueId id) {
    if (id.valid()) ++readers_[static_cast<size_t>(id.index)];
  }
  bool MayBeWrittenOver(ValueId gradient) const;
  Result<ValueId> Copy(ValueId gradient);

  Graph& graph_;
  Bytes bucket_bytes_;
  std::vector<NodeId> maker_;  // By value, as are readers_; of those before the first bucket.
  std::vector<int> readers_;
  std::unordered_map<int32_t, ValueId> means_;  // By gradient; invalid: its bucket is open.
  std::vector<ValueId> bucket_;                 // The gradients of the open one.
  std::vector<ValueId> operands_;               // They or their copies.
  Bytes bytes_ = 0;
  int buckets_ = 0;
};

// Whether nobody reads the gradient's bytes, under whichever name.
bool BucketBuilder::MayBeWrittenOver(ValueId gradient) const {
  int known_readers = 0;
  for (ValueId at = gradient;;) {
    const auto index = static_cast<size_t>(at.index);
    if (graph_.value(at).role != Role::kIntermediate || readers_[index] > known_readers) {
      return false;
    }
    if (!maker_[index].valid()) return true;
    const Node& maker = graph_.node(maker_[index]);
    if (!FindOp(maker.op)->is_view) return true;
    at = maker.inputs[0];
    known_readers = 1;  // The view.
  }
}

Result<ValueId> BucketBuilder::Copy(ValueId gradient) {
  const Value value = graph_.value(gradient);
  const Attributes zero = {{"value", 0.0},
                           {"shape", std::vector<int64_t>(value.shape.begin(), value.shape.end())},
                           {"dtype", std::string(DTypeName(value.dtype))}};
  const std::string name = value.name + ".own";
  Node fill = MakeNode("Fill", name + ".zero", {}, zero, Phase::kUpdate);
  WSI_ASSIGN_OR_RETURN(const ValueId start, AppendNode(graph_, std::move(fill), name + ".zero"));
  Node sum = MakeNode("AccumulateGrad", name, {start, gradient}, {}, Phase::kUpdate);
  return AppendNode(graph_, std::move(sum), name);
}

Status BucketBuilder::Add(ValueId gradient) {
  if (!means_.try_emplace(gradient.index, ValueId()).second) return {};
  const Value& value = graph_.value(gradient);
  const Bytes size = value.shape.ByteCount(value.dtype);
  const bool is_other_type = !operands_.empty() && graph_.value(operands_[0]).dtype != value.dtype;
  if (size >= bucket_bytes_ || is_other_type) WSI_RETURN_IF_ERROR(Close());
  ValueId operand = gradient;
  if (!MayBeWrittenOver(gradient)) {
    WSI_ASSIGN_OR_RETURN(operand, Copy(gradient));
  }
  bucket_.push_back(gradient);
  operands_.push_back(operand);
  bytes_ += size;
  const bool is_full = bytes_ >= bucket_bytes_ || operands_.size() == kMostReduced;
  return is_full ? Close() : Status();
}

Status BucketBuilder::Close() {
  if (operands_.empty()) return {};
  std::vector<std::string> names;
  names.reserve(operands_.size());
  for (const ValueId gradient : bucket_) names.push_back(graph_.value(gradient).name + ".mean");
  Node node =
      MakeNode("AllReduce", fmt::format("gradients.{}", buckets_++), operands_, {}, Phase::kUpdate);
  const NodeId id = graph_.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph_, id));
  for (size_t i = 0; i < bucket_.size(); ++i) {
    means_[bucket_[i].index] = graph_.node(id).outputs[i];
  }
  bucket_.clear();
  operands_.clear();
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
