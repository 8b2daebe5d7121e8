#include "tests/backends/launch_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/workspace/workspace.h"

namespace wsi {
namespace {

constexpr std::byte kPoison{0xFF};

OperandSpec SpecOf(DType dtype, const Shape& shape) { return {true, dtype, shape}; }

// Where the operands lie in the arena, with a guard of kBufferAlignment behind each.
struct Placement {
  std::vector<OperandSpec> inputs;
  std::vector<OperandSpec> outputs;
  std::vector<Bytes> input_offsets;
  std::vector<Bytes> output_offsets;
  Bytes workspace_offset = 0;
  Bytes workspace_bytes = 0;
  Bytes size = kBufferAlignment;

  Bytes Place(Bytes bytes) {
    const Bytes offset = size;
    size += AlignUp(bytes, kBufferAlignment) + kBufferAlignment;
    return offset;
  }
};

Placement Place(const Launch& launch) {
  Placement p;
  for (const Tensor* input : launch.inputs) {
    p.inputs.push_back(input == nullptr ? OperandSpec() : SpecOf(input->dtype(), input->shape()));
    p.input_offsets.push_back(input == nullptr ? -1 : p.Place(input->byte_count()));
  }
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    const auto& type = launch.outputs[i];
    p.outputs.push_back(type ? SpecOf(type->dtype, type->shape) : OperandSpec());
    if (launch.in_place && launch.in_place->first == static_cast<int>(i)) {
      p.output_offsets.push_back(p.input_offsets[static_cast<size_t>(launch.in_place->second)]);
    } else {
      p.output_offsets.push_back(type ? p.Place(type->shape.ByteCount(type->dtype)) : -1);
    }
  }
  return p;
}

// What the arena holds before the launch.
std::vector<std::byte> Image(const Launch& launch, const Placement& p) {
  std::vector<std::byte> image(static_cast<size_t>(p.size), kPoison);
  for (size_t i = 0; i < launch.inputs.size(); ++i) {
    if (launch.inputs[i] == nullptr || launch.inputs[i]->byte_count() == 0) continue;
    const auto bytes = launch.inputs[i]->bytes();
    std::memcpy(image.data() + p.input_offsets[i], bytes.data(), bytes.size());
  }
  return image;
}

// Takes the outputs out of `after` and fails if anything else but the workspace changed.
Result<std::vector<Tensor>> TakeOutputs(const Launch& launch, const Placement& p,
                                        std::vector<std::byte> before,
                                        const std::vector<std::byte>& after) {
  std::vector<Tensor> results(launch.outputs.size());
  const auto accept = [&](Bytes offset, size_t bytes) {
    std::copy_n(after.begin() + offset, bytes, before.begin() + offset);
  };
  for (size_t i = 0; i < launch.outputs.size(); ++i) {
    if (!launch.outputs[i]) continue;
    WSI_ASSIGN_OR_RETURN(results[i],
                         Tensor::Make(launch.outputs[i]->dtype, launch.outputs[i]->shape));
    const auto bytes = results[i].bytes();
    if (bytes.empty()) continue;
    std::memcpy(bytes.data(), after.data() + p.output_offsets[i], bytes.size());
    accept(p.output_offsets[i], bytes.size());
  }
  accept(p.workspace_offset, static_cast<size_t>(p.workspace_bytes));
  if (before == after) return results;
  const auto at = std::mismatch(before.begin(), before.end(), after.begin()).first;
  return InternalError(fmt::format("{} '{}' wrote outside its outputs, at byte {} of {}", launch.op,
                                   launch.node, at - before.begin(), before.size()));
}

// A compiled launch with its operands in memory.
struct Prepared {
  Placement placement;
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<Arena> arena;
  std::vector<std::byte> before;  // What the arena holds.
  std::vector<const std::byte*> inputs;
  std::vector<std::byte*> outputs;
  std::byte* workspace = nullptr;
};

Result<Prepared> Prepare(const Launch& launch, Backend& backend) {
  Prepared p;
  p.placement = Place(launch);
  LaunchSpec spec{launch.op, launch.node, launch.attributes, p.placement.inputs,
                  p.placement.outputs};
  WSI_ASSIGN_OR_RETURN(spec.workspace_bytes,
                       WorkspaceOf(spec, {.device = std::string(backend.name())}));
  p.placement.workspace_bytes = spec.workspace_bytes;
  p.placement.workspace_offset = p.placement.Place(spec.workspace_bytes);
  WSI_ASSIGN_OR_RETURN(p.kernel, backend.Compile(spec));
  WSI_ASSIGN_OR_RETURN(p.arena, backend.AllocateDevice(p.placement.size));
  p.before = Image(launch, p.placement);
  std::byte* base = p.arena->data();
  WSI_RETURN_IF_ERROR(backend.Write(base, p.before));
  for (const Bytes at : p.placement.input_offsets) {
    p.inputs.push_back(at < 0 ? nullptr : base + at);
  }
  for (const Bytes at : p.placement.output_offsets) {
    p.outputs.push_back(at < 0 ? nullptr : base + at);
  }
  p.workspace = base + p.placement.workspace_offset;
  return p;
}

}  // namespace

Result<std::vector<Tensor>> LaunchRunner::Run(const Launch& launch) {
  WSI_ASSIGN_OR_RETURN(auto results, RunInTurn({&launch, 1}, 1));
  return std::move(results.front());
}

Result<std::vector<std::vector<Tensor>>> LaunchRunner::RunInTurn(std::span<const Launch> launches,
                                                                 int rounds) {
  if (!lane_) {
    WSI_ASSIGN_OR_RETURN(lane_, backend_->MakeLane("compute"));
  }
  std::vector<Prepared> all;
  for (const Launch& launch : launches) {
    WSI_ASSIGN_OR_RETURN(Prepared prepared, Prepare(launch, *backend_));
    all.push_back(std::move(prepared));
  }
  for (int round = 0; round < rounds; ++round) {
    for (const Prepared& p : all) {
      WSI_RETURN_IF_ERROR(lane_->Launch(*p.kernel, {p.inputs, p.outputs, p.workspace}));
    }
  }
  WSI_RETURN_IF_ERROR(lane_->Synchronize());
  std::vector<std::vector<Tensor>> results;
  for (size_t i = 0; i < all.size(); ++i) {
    Prepared& p = all[i];
    std::vector<std::byte> after(p.before.size());
    WSI_RETURN_IF_ERROR(backend_->Read(after, p.arena->data()));
    WSI_ASSIGN_OR_RETURN(auto outputs,
                         TakeOutputs(launches[i], p.placement, std::move(p.before), after));
    results.push_back(std::move(outputs));
  }
  return results;
}

Status InferLaunch(Launch& launch, const std::vector<bool>& outputs) {
  TensorStore store;
  Graph graph(&store);
  Node node;
  node.name = launch.node;
  node.op = launch.op;
  node.attributes = launch.attributes;
  for (const Tensor* input : launch.inputs) {
    Value value;
    value.role = Role::kInput;
    if (input != nullptr) {
      value.dtype = input->dtype();
      value.shape = input->shape();
    }
    node.inputs.push_back(input == nullptr ? ValueId() : graph.AddValue(std::move(value)));
  }
  std::vector<std::string> names;
  names.reserve(outputs.size());
  for (const bool wanted : outputs) names.emplace_back(wanted ? "y" : "");
  const NodeId id = graph.AddNode(std::move(node), names);
  WSI_RETURN_IF_ERROR(InferTypes(graph, id));
  launch.outputs.clear();
  for (const ValueId output : graph.node(id).outputs) {
    launch.outputs.emplace_back();
    if (!output.valid()) continue;
    launch.outputs.back() = TensorType{graph.value(output).dtype, graph.value(output).shape};
  }
  return {};
}

}  // namespace wsi
