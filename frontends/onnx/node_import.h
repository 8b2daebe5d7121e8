// One ONNX node on its way into the graph: what a canonicalizer reads and emits.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/onnx/import_state.h"

namespace onnx {
class AttributeProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace wsi {

// The first mistake of an attribute (wrong type, missing, unknown) stays in status();
// reading goes on with the default.
class NodeImport {
 public:
  // `inputs` are the values of the node's inputs, invalid where absent. Borrows all.
  NodeImport(ImportState& state, onnx::NodeProto& proto, int index, std::vector<ValueId> inputs);

  ImportState& state() { return state_; }
  const std::string& op() const;
  const std::string& name() const { return name_; }
  int64_t opset() const { return state_.opset; }
  int index() const { return index_; }  // Of the node in the model.

  bool HasAttribute(std::string_view name);
  int64_t Int(std::string_view name, int64_t otherwise);
  int64_t RequiredInt(std::string_view name);
  double Float(std::string_view name, double otherwise);
  std::string String(std::string_view name, std::string_view otherwise);
  std::vector<int64_t> Ints(std::string_view name, std::vector<int64_t> otherwise = {});
  std::vector<double> Floats(std::string_view name);
  onnx::TensorProto* TensorAttribute(std::string_view name);  // Null: none.
  // Reads an attribute that has no bearing here.
  void Ignore(std::string_view name) { Find(name); }
  // An error if anything was wrong with an attribute, or one was never asked for.
  Status CheckAttributes();

  int input_count() const { return static_cast<int>(inputs_.size()); }
  bool HasInput(int i) const;
  const std::vector<ValueId>& inputs() const { return inputs_; }
  ValueId Input(int i) const;                 // Invalid: absent.
  const std::string& InputName(int i) const;  // REQUIRES: HasInput(i).
  Status RequireInputs(int count) const;      // That the first `count` are there.
  // REQUIRES: HasInput(i).
  const Shape& InputShape(int i) const { return ShapeOf(Input(i)); }
  DType InputType(int i) const { return state_.graph.value(Input(i)).dtype; }
  const Shape& ShapeOf(ValueId id) const { return state_.graph.value(id).shape; }
  // The contents of an operand that must be known now. A parameter's count: the
  // operand turns into an attribute.
  Result<const Tensor*> StaticInput(int i, std::string_view what) const;
  Result<std::vector<int64_t>> StaticInts(int i, std::string_view what) const;
  Result<double> StaticFloat(int i, std::string_view what) const;

  int output_count() const;
  bool HasOutputName(int i) const { return !OutputName(i).empty(); }
  bool WantsOutput(int i) const;  // It has a name, and somebody reads it.
  // Adds a node under this one's name, types it and folds it if it can be.
  Result<ValueId> Emit(std::string_view op, std::vector<ValueId> inputs,
                       Attributes attributes = {});
  // The same of a node with several outputs.
  Result<std::vector<ValueId>> EmitMany(std::string_view op, std::vector<ValueId> inputs,
                                        Attributes attributes, int outputs);
  // The values of equal shapes along a new first axis.
  Result<ValueId> EmitStacked(std::vector<ValueId> values);
  // Zeros for a constant that the importer fills; an error above the cap of folded constants.
  Result<Tensor> NewConstant(DType dtype, const Shape& shape) const;
  // A scalar constant of the type of `value`.
  Result<ValueId> NumberLike(ValueId value, double number);
  // Emits the node that makes output 0, or output `i`.
  Status Give(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  Status GiveAt(int i, std::string_view op, std::vector<ValueId> inputs, Attributes attributes);
  // Emits the node that makes the first `outputs` outputs, those not wanted left out.
  Status GiveMany(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                  int outputs);
  Status GiveConstant(Tensor tensor);
  // The values of input `i`, a sequence; and output 0 as one.
  Result<std::vector<ValueId>> InputSequence(int i) const;
  void SetSequence(std::vector<ValueId> values);
  // Output `i` is another name of `value`.
  void SetOutput(int i, ValueId value);
  const std::vector<ValueId>& results() const { return results_; }

 private:
  const onnx::AttributeProto* Find(std::string_view name);
  const onnx::AttributeProto* FindTyped(std::string_view name, int type, std::string_view kind);
  void Fail(std::string message);
  const Tensor* KnownContents(ValueId id, int depth) const;
  std::string OutputName(int i) const;
  Result<std::vector<ValueId>> Add(std::string_view op, std::vector<ValueId> inputs,
                                   Attributes attributes, std::span<const std::string> names);
  Status Fold(NodeId node);

  ImportState& state_;
  onnx::NodeProto& proto_;
  int index_;
  std::string name_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> results_;
  std::set<std::string, std::less<>> asked_;
  Status status_;
};

}  // namespace wsi
