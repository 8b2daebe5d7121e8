#include "frontends/onnx/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "frontends/onnx/external_data.h"
#include "frontends/onnx/model_file.h"
#include "frontends/onnx/model_output.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

constexpr Bytes kDataAlignment = 4096;  // A page, as the ONNX specification recommends.

bool IsFloatProto(const onnx::TensorProto& proto) {
  const Result<DType> dtype = DTypeFromOnnx(proto.data_type());
  return dtype.ok() && IsFloat(*dtype);
}

// Gives `name`, so far the output of an Identity node, an initializer like the one
// behind that node, and removes the node. Null if there is no such node.
onnx::TensorProto* SplitOffAlias(onnx::GraphProto& graph, const std::string& name) {
  for (int i = 0; i < graph.node_size(); ++i) {
    const onnx::NodeProto& node = graph.node(i);
    if (node.op_type() != "Identity" || node.output_size() != 1 || node.output(0) != name) continue;
    for (const onnx::TensorProto& source : graph.initializer()) {
      if (node.input_size() != 1 || source.name() != node.input(0)) continue;
      onnx::TensorProto copy;
      copy.set_name(name);
      copy.set_data_type(source.data_type());
      *copy.mutable_dims() = source.dims();
      graph.mutable_node()->DeleteSubrange(i, 1);
      onnx::TensorProto* added = graph.add_initializer();
      *added = std::move(copy);
      return added;
    }
  }
  return nullptr;
}

void SetInline(onnx::TensorProto& proto, const Tensor& tensor) {
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.set_raw_data(tensor.bytes().data(), tensor.bytes().size());
}

class Exporter {
 public:
  Exporter(onnx::ModelProto& model, const WeightMap& weights, std::string folder)
      : model_(model), weights_(weights), external_(std::move(folder)) {}

  // Matches names and shapes; one error lists all that do not fit.
  Status Match() {
    onnx::GraphProto& graph = *model_.mutable_graph();
    std::vector<std::string> wrong;
    for (const auto& [name, tensor] : weights_) {
      if (name.ends_with("num_batches_tracked")) continue;
      onnx::TensorProto* proto = Initializer(name);
      if (proto == nullptr) proto = SplitOffAlias(graph, name);
      if (proto == nullptr) {
        wrong.push_back(fmt::format("'{}' is no initializer of the model", Printable(name)));
        continue;
      }
      const Result<Shape> shape = TensorProtoShape(*proto);
      const Result<DType> dtype = DTypeFromOnnx(proto->data_type());
      if (!shape.ok() || !dtype.ok() || *shape != tensor.shape()) {
        wrong.push_back(fmt::format("'{}' has shape {}, the model's {}", Printable(name),
                                    tensor.shape().ToString(),
                                    shape.ok() ? shape->ToString() : "none that is read"));
      }
    }
    if (wrong.empty()) return {};
    std::string text =
        fmt::format("{} of {} weights do not fit the model: ", wrong.size(), weights_.size());
    for (size_t i = 0; i < wrong.size(); ++i) text += (i == 0 ? "" : "; ") + wrong[i];
    return InvalidInput(text);
  }

  Status ReplaceInline(ExportReport& report) {
    for (onnx::TensorProto& proto : *model_.mutable_graph()->mutable_initializer()) {
      const Tensor* weight = Weight(proto);
      if (weight == nullptr) {
        if (IsFloatProto(proto)) report.kept.push_back(proto.name());
        continue;
      }
      ++report.replaced;
      if (IsExternal(proto)) continue;
      WSI_ASSIGN_OR_RETURN(const Tensor cast, CastLike(*weight, proto));
      SetInline(proto, cast);
    }
    return {};
  }

  // All external tensors, replaced or not, go to one new file.
  Status WriteExternal(const std::string& path, OutputOptions options) {
    std::vector<onnx::TensorProto*> protos;
    CollectExternal(*model_.mutable_graph(), protos);
    if (protos.empty()) return {};
    WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
    for (onnx::TensorProto* proto : protos) {
      WSI_ASSIGN_OR_RETURN(const Tensor tensor, ExternalContents(*proto));
      WSI_RETURN_IF_ERROR(file.Align(kDataAlignment));
      const Bytes offset = file.position();
      WSI_RETURN_IF_ERROR(file.Write(tensor.bytes()));
      proto->clear_external_data();
      const std::string name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
      for (const auto& [key, value] : {std::pair<std::string, std::string>{"location", name},
                                       {"offset", fmt::to_string(offset)},
                                       {"length", fmt::to_string(tensor.byte_count())}}) {
        onnx::StringStringEntryProto& entry = *proto->add_external_data();
        entry.set_key(key);
        entry.set_value(value);
      }
    }
    return file.Commit();
  }

  bool HasExternal() {
    std::vector<onnx::TensorProto*> protos;
    CollectExternal(*model_.mutable_graph(), protos);
    return !protos.empty();
  }

 private:
  const Tensor* Weight(const onnx::TensorProto& proto) const {
    const auto at = weights_.find(proto.name());
    return at == weights_.end() ? nullptr : &at->second;
  }

  onnx::TensorProto* Initializer(const std::string& name) {
    if (by_name_.empty()) {
      const onnx::GraphProto& graph = model_.graph();
      for (int i = 0; i < graph.initializer_size(); ++i) by_name_[graph.initializer(i).name()] = i;
    }
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : model_.mutable_graph()->mutable_initializer(at->second);
  }

  static Result<Tensor> CastLike(const Tensor& weight, const onnx::TensorProto& proto) {
    WSI_ASSIGN_OR_RETURN(const DType dtype, DTypeFromOnnx(proto.data_type()));
    return weight.dtype() == dtype ? weight.Clone() : weight.Cast(dtype);
  }

  Result<Tensor> ExternalContents(onnx::TensorProto& proto) {
    const Tensor* weight = Weight(proto);
    if (weight != nullptr) return CastLike(*weight, proto);
    Result<Tensor> tensor = TakeTensor(proto, external_);
    if (!tensor.ok()) return tensor.status().WithContext(Printable(proto.name()));
    return tensor;
  }

  void CollectExternal(onnx::GraphProto& graph, std::vector<onnx::TensorProto*>& protos) {
    for (onnx::TensorProto& proto : *graph.mutable_initializer()) {
      if (IsExternal(proto)) protos.push_back(&proto);
    }
    for (onnx::NodeProto& node : *graph.mutable_node()) {
      for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.has_t() && IsExternal(attribute.t())) protos.push_back(attribute.mutable_t());
        if (attribute.has_g()) CollectExternal(*attribute.mutable_g(), protos);
      }
    }
  }

  onnx::ModelProto& model_;
  const WeightMap& weights_;
  ExternalData external_;
  std::unordered_map<std::string, int> by_name_;
};

// Sets training_mode to 0 and drops the outputs that inference does not have. Nodes whose
// updated statistics are read by others or by the user stay as they are.
int64_t UseRunningStatistics(onnx::GraphProto& graph) {
  std::set<std::string> read;
  for (const onnx::NodeProto& node : graph.node()) {
    read.insert(node.input().begin(), node.input().end());
  }
  for (const onnx::ValueInfoProto& output : graph.output()) read.insert(output.name());
  int64_t changed = 0;
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    if (node.op_type() != "BatchNormalization" || !node.domain().empty()) continue;
    const bool statistics_are_read =
        std::any_of(node.output().begin() + std::min(node.output_size(), 1), node.output().end(),
                    [&](const std::string& name) { return read.contains(name); });
    if (statistics_are_read) continue;
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.name() != "training_mode" || attribute.i() == 0) continue;
      attribute.set_i(0);
      while (node.output_size() > 1) node.mutable_output()->RemoveLast();
      ++changed;
    }
  }
  return changed;
}

}  // namespace

Result<ExportReport> ExportOnnx(const std::string& model_path, const WeightMap& weights,
                                const std::string& output_path, OutputOptions options) {
  WSI_RETURN_IF_ERROR(CheckOutputPath(output_path, options.force));
  WSI_ASSIGN_OR_RETURN(const ModelPtr model, ReadModelFile(model_path));
  if (!model->has_graph()) return InvalidInput(Printable(model_path) + ": holds no graph");
  try {
    ExportReport report;
    Exporter exporter(*model, weights, FolderOf(model_path));
    WSI_RETURN_IF_ERROR(exporter.Match().WithContext(Printable(model_path)));
    const std::string data_path = output_path + ".data";
    if (exporter.HasExternal()) WSI_RETURN_IF_ERROR(CheckOutputPath(data_path, options.force));
    WSI_RETURN_IF_ERROR(exporter.ReplaceInline(report));
    WSI_RETURN_IF_ERROR(exporter.WriteExternal(data_path, options));
    report.inference_norms = UseRunningStatistics(*model->mutable_graph());
    WSI_RETURN_IF_ERROR(WriteModelFile(*model, output_path, options));
    return report;
  } catch (const std::bad_alloc&) {
    return ResourceError(fmt::format("{}: no memory for its weights", Printable(model_path)));
  }
}

}  // namespace wsi
