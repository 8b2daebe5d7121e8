// Model inputs: types, and sizes bound from the options.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <span>

#include "frontends/onnx/import_state.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

constexpr std::string_view kSizeHint = "try --input-size HxW and --batch N";

// What the options say about axis `axis` of an input of rank `rank`.
std::optional<int64_t> OptionSize(const ImportOptions& options, int axis, int rank) {
  const int spatial = static_cast<int>(options.input_size.size());
  if (axis == 0 && rank > 0) return options.batch;
  if (spatial > 0 && rank == 2 + spatial && axis >= 2) {
    return options.input_size[static_cast<size_t>(axis - 2)];
  }
  return std::nullopt;
}

class InputBinder {
 public:
  explicit InputBinder(ImportState& state) : state_(state) {}

  Status Bind(const onnx::ValueInfoProto& input) {
    if (input.type().has_sequence_type()) return BindSequence(input.name());
    if (!input.type().has_tensor_type()) return InvalidInput("is not a dense tensor");
    const auto& type = input.type().tensor_type();
    WSI_ASSIGN_OR_RETURN(const DType dtype, DTypeFromOnnx(type.elem_type()));
    if (!type.has_shape()) return InvalidInput("states no shape, not even how many axes it has");
    const int rank = type.shape().dim_size();
    if (rank > Shape::kMaxRank) {
      return InvalidInput(fmt::format("has {} axes, {} are allowed", rank, Shape::kMaxRank));
    }
    std::vector<int64_t> sizes;
    for (int axis = 0; axis < rank; ++axis) {
      WSI_ASSIGN_OR_RETURN(const int64_t size, BindAxis(type.shape().dim(axis), axis, rank));
      sizes.push_back(size);
    }
    NoteReplacedSize(type.shape(), sizes);
    Value value;
    WSI_ASSIGN_OR_RETURN(value.shape, Shape::Make(sizes));
    value.name = input.name();
    value.dtype = state_.GraphType(dtype);
    const bool target = state_.target_names.contains(input.name());
    value.role = target ? Role::kTarget : Role::kInput;
    state_.values[input.name()] = state_.graph.AddValue(std::move(value));
    return {};
  }

 private:
  // A sequence becomes its values, inputs of their own, which only given contents tell.
  Status BindSequence(const std::string& name) {
    const WeightMap* given = state_.options.input_contents;
    std::vector<ValueId> values;
    for (size_t i = 0; given != nullptr; ++i) {
      const auto at = given->find(ElementName(name, i));
      if (at == given->end()) break;
      Value value;
      value.name = at->first;
      value.dtype = state_.GraphType(at->second.dtype());
      value.shape = at->second.shape();
      value.role = Role::kInput;
      values.push_back(state_.graph.AddValue(std::move(value)));
    }
    if (values.empty()) return InvalidInput("is a sequence, whose length is not known");
    state_.sequences[name] = std::move(values);
    state_.values[name] = ValueId{};
    return {};
  }

  using Dimension = onnx::TensorShapeProto::Dimension;

  Result<int64_t> BindAxis(const Dimension& dim, int axis, int rank) {
    const bool fixed = dim.has_dim_value();
    const std::string& symbol = dim.dim_param();
    std::optional<int64_t> size = OptionSize(state_.options, axis, rank);
    if (!size && fixed) size = dim.dim_value();
    if (!size && !symbol.empty() && symbols_.contains(symbol)) size = symbols_[symbol];
    if (!size && axis == 0) size = 1;
    const std::string name =
        symbol.empty() ? fmt::to_string(axis) : fmt::format("{} ('{}')", axis, Printable(symbol));
    if (!size) return InvalidInput(fmt::format("the size of axis {} is not known", name));
    const bool stated_empty = *size == 0 && fixed && dim.dim_value() == 0;
    if (*size <= 0 && !stated_empty)
      return InvalidInput(fmt::format("the size of axis {} is {}", name, *size));
    if (!fixed && !symbol.empty()) {
      const auto [at, is_new] = symbols_.emplace(symbol, *size);
      if (!is_new && at->second != *size) {
        return InvalidInput(
            fmt::format("axis {} is {} here and {} elsewhere", name, *size, at->second));
      }
    }
    return *size;
  }

  // Remembers spatial sizes of the model where they are all known and others are bound.
  void NoteReplacedSize(const onnx::TensorShapeProto& shape, const std::vector<int64_t>& sizes) {
    std::vector<int64_t> own;
    for (int axis = 2; axis < shape.dim_size(); ++axis) {
      if (!shape.dim(axis).has_dim_value()) return;
      own.push_back(shape.dim(axis).dim_value());
    }
    if (std::ranges::equal(own, std::span(sizes).subspan(sizes.size() - own.size()))) return;
    state_.replaced_size = fmt::to_string(fmt::join(own, "x"));
  }

  ImportState& state_;
  std::unordered_map<std::string, int64_t> symbols_;
};

}  // namespace

void ImportInputs(const onnx::GraphProto& graph, ImportState& state) {
  std::unordered_set<std::string> initializers;
  for (const onnx::TensorProto& proto : graph.initializer()) initializers.insert(proto.name());
  InputBinder binder(state);
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initializers.contains(input.name())) continue;  // A default, as before IR version 4.
    Status status;
    if (input.name().empty() || !IsAcceptableName(input.name())) {
      status = InvalidInput("has no name or one with control characters");
    } else if (state.values.contains(input.name())) {
      status = InvalidInput("is there twice");
    } else {
      status = binder.Bind(input);
    }
    if (status.ok()) continue;
    state.values.emplace(input.name(), ValueId{});
    state.Report(input.name(), "input", status.message(), std::string(kSizeHint));
  }
}

}  // namespace wsi
