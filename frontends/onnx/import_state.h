// What the steps of one import share.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "compiler/ir/graph.h"
#include "frontends/onnx/external_data.h"
#include "frontends/onnx/import.h"
#include "frontends/onnx/printable.h"

namespace onnx {
class GraphProto;
}

namespace wsi {

struct ImportState {
  ImportState(const ImportOptions& import_options, TensorStore* tensors, std::string folder)
      : options(import_options), graph(tensors), external(std::move(folder)) {}

  const ImportOptions& options;
  Graph graph;
  ExternalData external;
  int64_t opset = 0;
  // What an ONNX name stands for. Invalid: a problem is reported already.
  std::unordered_map<std::string, ValueId> values;
  // What names of sequences stand for; their entries in `values` are invalid.
  std::unordered_map<std::string, std::vector<ValueId>> sequences;
  std::unordered_set<std::string> read_names;     // Read by a node or a model output.
  std::unordered_set<std::string> target_names;   // Read by a loss as its target.
  std::unordered_set<std::string> claimed_state;  // Tensor keys that are one layer's state.
  std::vector<bool> dead;  // By node: folded or failed; leaves the order at the end.
  Bytes folded_bytes = 0;
  // By value: contents worked out from ImportOptions::input_contents.
  std::map<int32_t, Tensor> known;
  std::string replaced_size;  // "HxW" that an input states and the options replace.
  std::vector<Problem> problems;

  // Names as they stand in the file; `message` and `hint` printable already.
  void Report(std::string_view node, std::string_view op, std::string message,
              std::string hint = {}) {
    problems.push_back({Printable(node), Printable(op), std::move(message), std::move(hint)});
  }
  void MarkDead(NodeId node) {
    const auto index = static_cast<size_t>(node.index);
    if (dead.size() <= index) dead.resize(index + 1);
    dead[index] = true;
  }
  // The type that floats of type `dtype` have in the graph.
  DType GraphType(DType dtype) const {
    return options.all_float64 && IsFloat(dtype) ? DType::kF64 : dtype;
  }
};

// Each step reports problems into the state and goes on.

// Who reads what; which initializers are running statistics.
struct NameUses {
  std::unordered_set<std::string> statistics;  // Read as BatchNormalization's mean or var only.
};
NameUses CollectUses(const onnx::GraphProto& graph, ImportState& state);
// Initializers become persistent values. Their data moves into the store.
void ImportInitializers(onnx::GraphProto& graph, const NameUses& uses, ImportState& state);
// Graph inputs that are no initializers, their sizes bound.
void ImportInputs(const onnx::GraphProto& graph, ImportState& state);

}  // namespace wsi
