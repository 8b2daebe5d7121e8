// OpDef: everything that a pass may ask about an operator, in one place.
//
// Forward operators have ONNX names and the semantics of ONNX's newest opset, in a
// canonical form: operands that must be known at compile time (axes, shapes, pads,
// slice bounds, clip limits, ...) are attributes under ONNX's operand name, and
// attributes that opsets moved or defaulted are explicit. The ONNX frontend brings
// every opset to this form. Spatial operators take channels-first tensors until the
// layout pass sets their attribute channels_last=1; from then on activations are
// N,spatial...,C and convolution weights O,spatial...,I/group.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/graph.h"

namespace wsi {

struct Band;
struct OpDef;
struct RowRange;

struct TensorType {
  DType dtype = DType::kF32;
  Shape shape;
  bool operator==(const TensorType&) const = default;
};

// A node with its operands' types. Borrows the graph.
class OpView {
 public:
  OpView(const Graph& graph, NodeId node) : graph_(graph), node_(graph.node(node)) {}

  const Attributes& attributes() const { return node_.attributes; }
  const std::string& op() const { return node_.op; }
  const std::string& name() const { return node_.name; }
  int input_count() const { return static_cast<int>(node_.inputs.size()); }
  int output_count() const { return static_cast<int>(node_.outputs.size()); }
  bool HasInput(int i) const;
  bool HasOutput(int i) const;
  // REQUIRES: HasInput(i) or HasOutput(i).
  const Value& input(int i) const;
  const Value& output(int i) const;
  const Shape& input_shape(int i) const { return input(i).shape; }
  const Shape& output_shape(int i) const { return output(i).shape; }
  // The contents of an input that is a constant, or null.
  const Tensor* InputConstant(int i) const;

 private:
  const Graph& graph_;
  const Node& node_;
};

// What a gradient rule builds with. All ids are of the graph being differentiated.
class GradBuilder {
 public:
  virtual ~GradBuilder() = default;
  virtual const OpView& op() const = 0;
  virtual ValueId Input(int i) const = 0;
  virtual ValueId Output(int i) const = 0;
  // An optional output that the forward node did not have so far (a max-pool's
  // index, a normalization's statistics): asks for it.
  virtual ValueId RequestOutput(int i) = 0;
  // The gradient that reaches output i; invalid if none does.
  virtual ValueId OutputGrad(int i) const = 0;
  // Whether anybody wants the gradient of input i.
  virtual bool WantsInputGrad(int i) const = 0;
  // Gives the gradient of input i: of the input's own shape and type.
  virtual void SetInputGrad(int i, ValueId gradient) = 0;
  // Appends a node and returns its first output, or all of its `outputs`.
  virtual Result<ValueId> Emit(std::string_view op, std::vector<ValueId> inputs,
                               Attributes attributes = {}) = 0;
  virtual Result<std::vector<ValueId>> EmitMany(std::string_view op, std::vector<ValueId> inputs,
                                                Attributes attributes, int outputs) = 0;
};

// Sums `gradient` over the axes that broadcasting stretched, back to `shape`.
Result<ValueId> SumToShape(GradBuilder& g, ValueId gradient, const Shape& from, const Shape& to);

// Exactly one of the two.
struct Gradient {
  Status (*build)(GradBuilder&) = nullptr;
  std::string_view none_because = {};
};

struct Cost {
  double flops = 0;  // A multiply-add counts two.
  double bytes = 0;  // Operands read once and results written once.
  // Of an operator that is_matrix: multiply-adds that only vector units take.
  bool vector_only = false;
};

// What half precision does to the operator. All activations of one node are of one type.
// Gradients of weights, of biases and of parameters of norms come out in fp32.
enum class HalfPolicy : uint8_t {
  kSafe,     // same type in and out, arithmetic may be half
  kMatrix,   // half in and out, fp32 accumulation inside
  kFloat32,  // inputs are cast up: statistics, losses, exponentials, updates
  kNeutral,  // moves data, any type
};

// How an operator maps rows of its result to rows of its operands; compiler/ops/rows.h
// has the algebra.
enum class RowKind : uint8_t {
  kPointwise,  // row j from row j
  kWindow,     // kernel, stride, dilation and pad from the attributes
  kOtherAxes,  // row j from row j, for rows along other axes than it works along
  kMoved,      // row j from rows that attributes or constants choose
  kSum,        // the results of bands of an input add up to the whole
  kBarrier,    // needs every row: global pooling, statistics, losses
  kNone,       // has no rows: weights, scalars, shapes
};

// How the layout pass treats an operator.
enum class LayoutRule : uint8_t {
  kAny,           // elementwise over broadcast operands: follows its inputs
  kChannelsLast,  // spatial: becomes channels-last; see OpDef::layout_weight
  kAxes,          // follows its input after its axis/axes/perm-like attributes are remapped
  kFixed,         // wants ONNX's own axis order
};

// What a step of the operator becomes in a plan.
enum class LowersTo : uint8_t {
  kLaunch,
  kCopy,     // on the lane between the tiers of its operands
  kBarrier,  // where its attribute `barrier` is 1, else nothing
  kNothing,  // shapes the schedule only
};

struct OpDef {
  std::string_view name;
  bool is_onnx = true;            // ONNX's, or this project's own (gradients, updates, ...)
  std::string_view summary = {};  // One line for the operator table: operands, formula.
  int min_inputs = 1;
  int max_inputs = 1;  // -1: any number
  int min_outputs = 1;
  int max_outputs = 1;
  // Checks attributes and operand types exactly, as from a hostile file, and gives
  // the type of every output that the operator can have (max_outputs of them, or as
  // many as the node has where that is unbounded).
  Result<std::vector<TensorType>> (*infer)(const OpView&) = nullptr;
  Gradient gradient = {};
  Cost (*cost)(const OpView&) = nullptr;
  bool is_matrix = false;  // Mostly multiply-adds that matrix units take.
  HalfPolicy half = HalfPolicy::kSafe;
  // Inputs that are f32 although the activations beside them are half precision:
  // parameters and statistics of norms.
  std::span<const int> float32_inputs = {};
  // Attribute dtype="f32" gives the sums of half-precision operands as they are, in f32.
  bool half_sum = false;
  RowKind rows = RowKind::kPointwise;
  int summed_input = -1;  // Not negative: the input whose rows bands are of; see `band`.
  // The operands and attributes of the node that computes a band, `axis` being the axis
  // of the rows: of output 0, or of the input `summed_input` if that is not negative.
  // Null: rows as broadcasting aligns them where `rows` is kPointwise, else no bands.
  // For BandOf alone, which checks.
  Result<Band> (*band)(const OpView&, int axis, RowRange) = nullptr;
  LayoutRule layout = LayoutRule::kAny;
  int layout_weight = -1;  // kChannelsLast: the input that is a convolution weight.
  // Evaluates on constants (shape arithmetic and what exporters wrap around it);
  // null: is not folded. One tensor per output of the node.
  Result<std::vector<Tensor>> (*fold)(const OpView&, std::span<const Tensor* const>) = nullptr;
  LowersTo lowers_to = LowersTo::kLaunch;
  bool is_view = false;  // output 0 is input 0's bytes under another shape
  // (output, input) pairs that may share memory, equal in shape, if the input dies here.
  std::span<const std::pair<int, int>> in_place = {};
};

// The operator called `name`, or null.
const OpDef* FindOp(std::string_view name);
// All operators, sorted by name.
std::span<const OpDef* const> AllOps();

// Sets the types of `node`'s outputs from its OpDef, or says what is wrong with it:
// "Conv 'layer1.0.conv1': ...".
Status InferTypes(Graph& graph, NodeId node);

}  // namespace wsi
