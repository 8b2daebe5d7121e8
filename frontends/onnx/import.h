// The ONNX frontend: an ONNX model in, a canonical forward graph out.
//
// Opsets 7 to 28 of the domain ai.onnx; IR version 3 and later. A version of the file
// format newer than this code knows is accepted: fields that it does not know cannot
// change what an operator of a known opset means, and everything read is checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/status.h"

namespace wsi {

// What value `i` of a sequence is called that is an input or an output of a model.
std::string ElementName(const std::string& sequence, size_t i);

inline constexpr int64_t kMinOpset = 7;
inline constexpr int64_t kMaxOpset = 28;

using WeightMap = std::map<std::string, Tensor, std::less<>>;

struct ImportOptions {
  // Sizes of the spatial axes, {H, W}: given to every input of rank 2 + their number,
  // whatever size the model states there. Empty: the model's own.
  std::vector<int64_t> input_size;
  // The size of axis 0 of every input. None: the model's own, and 1 where that is
  // symbolic.
  std::optional<int64_t> batch;
  // Contents that replace those of the initializers of the same names. Borrowed for
  // the call.
  const WeightMap* weights = nullptr;
  // Float initializers whose whole name matches this regular expression (ECMAScript)
  // become constants. Empty: none.
  std::string freeze;
  // Contents of model inputs, for operands that must be known at compile time and that the
  // model takes as inputs. Borrowed for the call.
  const WeightMap* input_contents = nullptr;
  // Every float value becomes f64 (parameters keep their tensors' type in the store).
  bool all_float64 = false;
  // The most bytes that one folded value, and four times that all of them, may hold.
  // Larger ones stay nodes.
  Bytes max_folded_bytes = Bytes{64} << 20;
};

// One reason why a model cannot be imported.
struct Problem {
  std::string node;     // The node's name, or what else of the model is meant.
  std::string op;       // Its operator, with the domain if not ONNX's own; may be empty.
  std::string message;  // What is wrong: found and allowed.
  std::string hint;     // What to try; may be empty.

  // "Conv 'layer1.0.conv1': strides has a 0; try ...".
  std::string ToString() const;
};

// The forward graph of the model in the canonical form of compiler/ops/op_def.h:
// channels first, constants folded, static operands as attributes.
//
// Float initializers are parameters, running statistics of BatchNormalization are
// state, both under their ONNX names and in ONNX's shapes in `tensors`; integer ones,
// Constant nodes and folded results are constants. An initializer that is also a graph
// input is an initializer. Every problem of the model is listed in the one error.
// `tensors` is empty before, and outlives the graph.
Result<Graph> ImportOnnx(const std::string& path, const ImportOptions& options,
                         TensorStore* tensors);

// Every problem that ImportOnnx would report; none if the model can be imported. An
// error only where the options are wrong or the file cannot be read at all.
Result<std::vector<Problem>> CheckOnnx(const std::string& path, const ImportOptions& options);

}  // namespace wsi
