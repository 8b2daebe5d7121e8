// One import: nodes one after the other, structure taken apart on the way.
//
// If keeps the branch that its condition, known here, chooses; Loop is written out as
// often as it runs; a call of a model-local function becomes the function's nodes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "frontends/onnx/import_state.h"

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class ModelProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace wsi {

class NodeImport;

bool IsOnnxDomain(std::string_view domain);

class GraphImporter {
 public:
  // Borrows both; the model's tensors move into the state's store.
  GraphImporter(onnx::ModelProto& model, ImportState& state) : model_(model), state_(state) {}
  void Run();

 private:
  // Names inside a body: what they are called in the graph around it.
  using Names = std::map<std::string, std::string, std::less<>>;
  // What a loop hands from one iteration to the next, by name, and what it has collected.
  struct Loop {
    std::vector<std::string> carried;
    std::vector<std::vector<ValueId>> scans;
  };

  void ImportNode(onnx::NodeProto& proto, int index);
  void ImportCanonical(onnx::NodeProto& proto, int index, const std::string& name);
  ValueId Read(const std::string& input, const std::string& name, const onnx::NodeProto& proto,
               bool& complete);
  bool ReadAll(const onnx::NodeProto& proto, const std::string& name, std::vector<ValueId>& inputs);
  void Define(const onnx::NodeProto& proto, const std::string& name,
              const std::vector<ValueId>& results);
  Status CheckFolded(const onnx::NodeProto& proto, const NodeImport& node);
  void ImportOutputs(const onnx::GraphProto& graph);
  ValueId OwnOutput(const std::string& name, ValueId value, std::vector<ValueId>& seen);

  // structure.cc. Each defines the node's outputs, or says what is wrong.
  Status ImportIf(onnx::NodeProto& proto, int index);
  Status ImportLoop(onnx::NodeProto& proto, int index);
  Result<bool> ImportIteration(const onnx::GraphProto& body, const std::string& prefix,
                               int64_t iteration, Loop& loop);
  Status DefineLoop(const onnx::NodeProto& proto, const Loop& loop, NodeImport& node);
  Status CallFunction(const onnx::NodeProto& proto, const onnx::FunctionProto& function);
  const onnx::FunctionProto* FindFunction(const onnx::NodeProto& proto) const;
  // The nodes of a body under `prefix`; adds what it defines to `names`.
  Status ImportBody(const onnx::GraphProto& body, const std::string& prefix, Names& names);
  Status ImportBodyNode(const onnx::NodeProto& node, const std::string& prefix, Names& names);
  // Another name of what `name` stands for.
  Status Alias(const std::string& alias, const std::string& name);
  Status Bind(const std::string& name, ValueId value);

  onnx::ModelProto& model_;
  ImportState& state_;
  bool known_opset_ = false;
  int depth_ = 0;
  int64_t body_nodes_ = 0;
};

}  // namespace wsi
