#include "tests/compiler/random_graph.h"

#include <array>
#include <limits>

namespace wsi {
namespace {

constexpr std::array<DType, 13> kTypes = {
    DType::kF32,  DType::kF64, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kU8,
    DType::kBool, DType::kI8,  DType::kI16, DType::kU16,  DType::kU32, DType::kU64};

}  // namespace

std::string RandomGraph::Name(const std::string& base) {
  static constexpr std::array<const char*, 8> kTails = {
      "",           ".weight", "/Conv_output_0", " with blanks", "\"quoted\\\"",
      "\n\x01\x7f", "%x = #",  "\xc3\xa9"};
  return base + kTails[static_cast<size_t>(Below(kTails.size()))];
}

double RandomGraph::Real() {
  using Limits = std::numeric_limits<double>;
  static constexpr std::array<double, 12> kSpecial = {0.0,
                                                      -0.0,
                                                      1.0,
                                                      0.1,
                                                      -1e-5,
                                                      1e300,
                                                      Limits::max(),
                                                      Limits::lowest(),
                                                      Limits::min(),
                                                      Limits::denorm_min(),
                                                      Limits::infinity(),
                                                      -Limits::infinity()};
  if (Below(2) == 0) return kSpecial[static_cast<size_t>(Below(kSpecial.size()))];
  return std::normal_distribution<double>(0.0, 1e3)(random_);
}

Shape RandomGraph::SmallShape() {
  std::vector<int64_t> sizes(static_cast<size_t>(Below(4)));
  for (int64_t& size : sizes) size = Below(6) == 0 ? int64_t{1} << 18 : Below(4);
  return Shape::Make(sizes).value();
}

AttributeValue RandomGraph::Attribute() {
  switch (Below(7)) {
    case 0: return static_cast<int64_t>(random_());
    case 1: return std::numeric_limits<int64_t>::min();
    case 2: return Real();
    case 3: return Name("text");
    case 4: return std::vector<int64_t>(static_cast<size_t>(Below(4)), -7);
    case 5: return std::vector<double>(static_cast<size_t>(Below(4)), Real());
    default: return std::string();
  }
}

void RandomGraph::AddPersistent(int i) {
  Value value;
  value.name = Name("w" + std::to_string(i));
  value.role = static_cast<Role>(1 + Below(6));
  value.dtype = kTypes[static_cast<size_t>(Below(kTypes.size()))];
  value.shape = SmallShape();
  value.tier = static_cast<Tier>(Below(3));
  if (IsPersistent(value.role) && Below(2) == 0) value.tensor = Name("key" + std::to_string(i));
  if (value.shape.rank() > 1 && Below(2) == 0) {
    for (int64_t axis = value.shape.rank(); axis-- > 0;) value.permutation.push_back(axis);
  }
  const int64_t count = value.shape.ElementCount();
  if (value.role == Role::kConstant && !value.tensor.empty() && count <= 64) {
    std::vector<double> elements(static_cast<size_t>(count));
    for (double& element : elements)
      element = IsFloat(value.dtype) ? Real() : static_cast<double>(Below(2));
    const DType stored = Below(4) == 0 && IsFloat(value.dtype) ? DType::kF64 : value.dtype;
    graph_.tensors().Add(value.tensor,
                         Tensor::Of<double>(value.shape, elements).Cast(stored).value());
  }
  graph_.AddValue(std::move(value));
}

void RandomGraph::AddNode(int i) {
  Node node;
  node.name = Name("node" + std::to_string(i));
  node.op = Below(8) == 0 ? Name("Op") : "Relu";
  node.phase = static_cast<Phase>(Below(3));
  if (Below(4) == 0) node.workspace_bytes = Below(1000);
  for (int64_t k = Below(4); k > 0; --k) {
    node.inputs.push_back(Below(5) == 0 ? ValueId{} : AnyValue());
  }
  for (int64_t k = Below(4); k > 0; --k) {
    node.attributes.Set(Name("a" + std::to_string(k)), Attribute());
  }
  std::vector<std::string> outputs;
  for (int64_t k = Below(4); k > 0; --k) {
    outputs.push_back(Below(5) == 0 ? "" : Name("v" + std::to_string(i)));
  }
  const NodeId id = graph_.AddNode(std::move(node), outputs);
  for (const ValueId output : graph_.node(id).outputs) {
    if (!output.valid()) continue;
    graph_.value(output).dtype = kTypes[static_cast<size_t>(Below(kTypes.size()))];
    graph_.value(output).shape = SmallShape();
    graph_.value(output).tier = static_cast<Tier>(Below(3));
  }
}

void RandomGraph::AddResults() {
  for (int64_t k = Below(3); k > 0; --k) graph_.outputs.push_back(AnyValue());
  if (Below(2) == 0) graph_.loss = AnyValue();
  for (int64_t k = Below(3); k > 0; --k) graph_.updates.push_back({AnyValue(), AnyValue()});
  for (int64_t k = Below(3); k > 0; --k) graph_.gradients.push_back({AnyValue(), AnyValue()});
}

void RandomGraph::AddBuffers() {
  for (Bytes& bytes : graph_.arena_bytes) bytes = Below(1 << 20);
  for (int64_t k = 1 + Below(4); k > 0; --k) {
    const int64_t begin = Below(5);
    graph_.buffers.push_back(
        {static_cast<Tier>(Below(3)), Below(1000), Below(1000), begin, begin + Below(5)});
  }
  const auto any = [&] {
    return BufferId{static_cast<int32_t>(Below(static_cast<int64_t>(graph_.buffers.size())))};
  };
  for (int32_t i = 0; i < graph_.value_count(); ++i) {
    if (Below(3) > 0) graph_.value(ValueId{i}).buffer = any();
  }
  for (const NodeId id : graph_.order()) {
    if (Below(4) == 0) graph_.node(id).workspace = any();
  }
}

Graph RandomGraph::Make() {
  graph_.name = Name("graph");
  for (int i = 0; i < 8; ++i) AddPersistent(i);
  for (int i = 0; i < 12; ++i) AddNode(i);
  AddResults();
  if (Below(2) == 0) AddBuffers();
  graph_.Compact();
  return std::move(graph_);
}

}  // namespace wsi
