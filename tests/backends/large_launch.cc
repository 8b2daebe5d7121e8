#include "tests/backends/large_launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "runtime/backends/reference/reference_backend.h"
#include "runtime/workspace/workspace.h"
#include "tests/backends/large_compare.h"
#include "tests/backends/large_memory.h"
#include "tests/backends/large_window.h"
#include "tests/backends/launch_runner.h"

namespace wsi {
namespace {

constexpr Bytes kRecordBytes = 256;
constexpr Bytes kRoomForScratch = Bytes{3} << 30;  // Beside the operands.

struct Layout {
  std::vector<Bytes> inputs;  // -1: absent.
  std::vector<Bytes> outputs;
  Bytes size = kRecordBytes;
  Bytes Place(Bytes bytes) {
    const Bytes at = size;
    size += AlignUp(bytes, kBufferAlignment) + kBufferAlignment;
    return at;
  }
};

// The input whose memory output `o` has, or -1.
int SharedInput(const LargeCase& large, size_t o) {
  if (!large.in_place) return -1;
  for (const auto& [output, input] : FindOp(large.op)->in_place) {
    if (output == static_cast<int>(o)) return input;
  }
  return -1;
}

Layout LayOut(const LargeCase& large, const OutputTypeList& types) {
  Layout layout;
  for (const Operand& input : large.inputs) {
    layout.inputs.push_back(input.present ? layout.Place(input.shape.ByteCount(input.dtype)) : -1);
  }
  for (size_t o = 0; o < types.size(); ++o) {
    const int shared = SharedInput(large, o);
    if (!types[o]) {
      layout.outputs.push_back(-1);
    } else if (shared >= 0) {
      layout.outputs.push_back(layout.inputs[static_cast<size_t>(shared)]);
    } else {
      layout.outputs.push_back(layout.Place(types[o]->shape.ByteCount(types[o]->dtype)));
    }
  }
  return layout;
}

double Milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since)
      .count();
}

// Not of all fills. 2^10 numbers, exact in f16.
Draw FilledDraw(const Operand& operand) {
  const auto index = static_cast<uint32_t>(operand.number);
  switch (operand.fill) {
    case Fill::kOffZero: return {.low = 0.25, .step = 0x1p-10, .count = 1024, .is_signed = true};
    case Fill::kPositive: return {.low = 0.5, .step = 0x1p-10, .count = 1024};
    case Fill::kNegative: return {.low = -3, .step = 0x1p-9, .count = 1024};
    case Fill::kUnit: return {.low = 0.0625, .step = 0.875 * 0x1p-10, .count = 1024};
    case Fill::kTies: return {.low = -1, .step = 1, .count = 3};
    case Fill::kIndex: return {.low = 0, .step = 1, .count = index};
    case Fill::kTruth: return {.low = 0, .step = 1, .count = 2};
    case Fill::kNumber: return {.low = operand.number, .step = 0, .count = 1};
    default: WSI_CHECK(operand.fill == Fill::kSpread);
  }
  return {.low = -2, .step = 0x1p-8, .count = 1024};
}

// What a part of input i holds.
Tensor DrawBox(const Operand& operand, const Draw& draw, const Box& box) {
  const Shape part = ShapeOf(box);
  std::vector<double> values(static_cast<size_t>(part.ElementCount()));
  std::vector<int64_t> at(box.size());
  for (size_t i = 0; i < values.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t stride = 1;
    int64_t index = 0;
    for (size_t a = box.size(); a-- > 0;) {
      index += (box[a].begin + rest % box[a].count()) * stride;
      rest /= box[a].count();
      stride *= operand.shape[static_cast<int>(a)];
    }
    values[i] = draw.At(index);
  }
  const Tensor exact = Tensor::Of<double>(part, values);
  const Tensor rounded = exact.Cast(operand.dtype).value();
  return IsFloat(operand.dtype) ? rounded.Cast(DType::kF64).value() : rounded.Clone().value();
}

// A part of an output, read from the device.
Result<Tensor> ReadBox(Backend& backend, const TensorType& type, const Box& box,
                       const std::byte* from) {
  WSI_ASSIGN_OR_RETURN(Tensor part, Tensor::Make(type.dtype, ShapeOf(box)));
  const Bytes element = DTypeBytes(type.dtype);
  // What lies in one piece.
  int64_t run = 1;
  for (int a = type.shape.rank() - 1; a >= 0; --a) {
    run *= box[static_cast<size_t>(a)].count();
    if (box[static_cast<size_t>(a)].count() != type.shape[a]) break;
  }
  const int64_t count = part.shape().ElementCount();
  for (int64_t first = 0; first < count; first += run) {
    int64_t rest = first;
    int64_t stride = 1;
    int64_t index = 0;
    for (int a = type.shape.rank() - 1; a >= 0; --a) {
      const RowRange& range = box[static_cast<size_t>(a)];
      index += (range.begin + rest % range.count()) * stride;
      rest /= range.count();
      stride *= type.shape[a];
    }
    WSI_RETURN_IF_ERROR(backend.Read(part.bytes().subspan(static_cast<size_t>(first * element),
                                                          static_cast<size_t>(run * element)),
                                     from + index * element));
  }
  return part;
}

// Attributes that name types of floats name f64.
Attributes Exact(Attributes attributes) {
  for (const char* name : {"to", "dtype", "types"}) {
    std::string text = attributes.String(name, "");
    if (text.empty()) continue;
    for (const char* type : {"bf16", "f16", "f32"}) {
      for (size_t at = 0; (at = text.find(type)) != std::string::npos;) {
        text.replace(at, std::string_view(type).size(), "f64");
      }
    }
    attributes.Set(name, text);
  }
  return attributes;
}

// The operands of a window: what was drawn, and what was given.
std::vector<Tensor> OperandsOf(const LargeCase& large, const LargeWindow& window, int64_t seed) {
  std::vector<Tensor> operands;
  for (size_t i = 0; i < large.inputs.size(); ++i) {
    const Operand& input = large.inputs[i];
    if (!input.present) {
      operands.emplace_back();
    } else if (window.given[i]) {
      const DType dtype = window.given[i]->dtype();
      operands.push_back(window.given[i]->Cast(IsFloat(dtype) ? DType::kF64 : dtype).value());
    } else {
      operands.push_back(DrawBox(input, DrawOf(large, i, seed), window.inputs[i]));
    }
  }
  return operands;
}

Result<std::vector<Tensor>> Reference(const LargeCase& large, const LargeWindow& window,
                                      int64_t seed) {
  const std::vector<Tensor> operands = OperandsOf(large, window, seed);
  Launch launch{large.op, "reference", Exact(window.attributes), {}, {}, {}};
  for (size_t i = 0; i < operands.size(); ++i) {
    launch.inputs.push_back(large.inputs[i].present ? &operands[i] : nullptr);
  }
  WSI_RETURN_IF_ERROR(InferLaunch(launch, large.outputs));
  LaunchRunner reference(MakeReferenceBackend());
  return reference.Run(launch);
}

}  // namespace

Draw DrawOf(const LargeCase& large, size_t i, int64_t seed) {
  const auto own = large.draws.find(i);
  Draw draw = own != large.draws.end() ? own->second : FilledDraw(large.inputs[i]);
  draw.seed = static_cast<uint64_t>(seed) * 0xD1342543DE82EF95U + i * 0xA0761D6478BD642FU;
  return draw;
}

LargeRunner::LargeRunner(std::unique_ptr<Backend> backend, int64_t seed)
    : backend_(std::move(backend)), seed_(seed) {}
LargeRunner::~LargeRunner() = default;

std::string LargeRunner::WhyNoRoom(Bytes bytes) const {
  const Result<DeviceMemory> memory = backend_->MeasureDevice();
  if (!memory.ok()) return memory.status().message();
  if (memory->total == 0 || memory->free >= bytes + kRoomForScratch) return {};
  return fmt::format("it needs {} and {} of scratch on the device, {} are free", FormatBytes(bytes),
                     FormatBytes(kRoomForScratch), FormatBytes(memory->free));
}

Status LargeRunner::Fill(const LargeCase& large, const OutputTypeList& types,
                         const LargeOperands& operands) {
  const Draw unset{.low = -1, .step = 0, .count = 1};
  for (size_t o = 0; o < types.size(); ++o) {
    if (!types[o] || SharedInput(large, o) >= 0) continue;
    const Bytes bytes = AlignUp(types[o]->shape.ByteCount(types[o]->dtype), 8);
    WSI_RETURN_IF_ERROR(FillDrawn(DType::kI64, unset, bytes / 8, operands.outputs[o]));
  }
  for (size_t i = 0; i < large.inputs.size(); ++i) {
    const Operand& input = large.inputs[i];
    if (!input.present) continue;
    auto* to = const_cast<std::byte*>(operands.inputs[i]);
    const auto given = large.given.find(i);
    if (given != large.given.end()) {
      WSI_RETURN_IF_ERROR(backend_->Write(to, given->second.bytes()));
    } else {
      WSI_RETURN_IF_ERROR(
          FillDrawn(input.dtype, DrawOf(large, i, seed_), input.shape.ElementCount(), to));
    }
  }
  return {};
}

LargeOutcome LargeRunner::Launch(const LargeCase& large, const OutputTypeList& types,
                                 LargeOperands& operands) {
  LargeOutcome outcome;
  const Layout layout = LayOut(large, types);
  outcome.bytes = layout.size;
  for (size_t o = 0; o < types.size(); ++o) {
    if (SharedInput(large, o) >= 0) outcome.bytes += types[o]->shape.ByteCount(types[o]->dtype);
  }
  operands.arena.reset();
  operands.workspace.reset();
  kernel_.reset();
  outcome.skipped = WhyNoRoom(layout.size);
  if (!outcome.skipped.empty()) return outcome;
  const auto run = [&]() -> Status {
    std::vector<OperandSpec> inputs;
    std::vector<OperandSpec> outputs;
    for (const Operand& input : large.inputs) {
      inputs.push_back(input.present ? OperandSpec{true, input.dtype, input.shape} : OperandSpec());
    }
    for (const auto& type : types) {
      outputs.push_back(type ? OperandSpec{true, type->dtype, type->shape} : OperandSpec());
    }
    LaunchSpec spec{large.op, "large", large.attributes, inputs, outputs};
    WSI_ASSIGN_OR_RETURN(spec.workspace_bytes,
                         WorkspaceOf(spec, {.device = std::string(backend_->name())}));
    outcome.skipped = WhyNoRoom(layout.size + spec.workspace_bytes);
    if (!outcome.skipped.empty()) return {};
    WSI_ASSIGN_OR_RETURN(kernel_, backend_->Compile(spec));
    WSI_ASSIGN_OR_RETURN(operands.arena, backend_->AllocateDevice(layout.size));
    WSI_ASSIGN_OR_RETURN(operands.workspace,
                         backend_->AllocateDevice(std::max<Bytes>(spec.workspace_bytes, 1)));
    std::byte* base = operands.arena->data();
    operands.inputs.clear();
    operands.outputs.clear();
    for (const Bytes at : layout.inputs) operands.inputs.push_back(at < 0 ? nullptr : base + at);
    for (const Bytes at : layout.outputs) operands.outputs.push_back(at < 0 ? nullptr : base + at);
    operands.record = base;
    WSI_RETURN_IF_ERROR(Fill(large, types, operands));
    WSI_ASSIGN_OR_RETURN(outcome.ms, Again(operands));
    for (size_t o = 0; o < types.size(); ++o) {
      if (!types[o] || SharedInput(large, o) >= 0) continue;
      WSI_ASSIGN_OR_RETURN(const int64_t unset,
                           FindUnset(DTypeBytes(types[o]->dtype), operands.outputs[o],
                                     types[o]->shape.ElementCount(), operands.record));
      if (unset >= 0) {
        return InternalError(fmt::format("output {}: element {} of {} was not written", o, unset,
                                         types[o]->shape.ToString()));
      }
    }
    return {};
  };
  outcome.status = run();
  return outcome;
}

Result<double> LargeRunner::Again(const LargeOperands& operands) {
  if (!lane_) {
    WSI_ASSIGN_OR_RETURN(lane_, backend_->MakeLane("compute"));
  }
  const auto start = std::chrono::steady_clock::now();
  WSI_RETURN_IF_ERROR(
      lane_->Launch(*kernel_, {operands.inputs, operands.outputs, operands.workspace->data()}));
  WSI_RETURN_IF_ERROR(lane_->Synchronize());
  return Milliseconds(start);
}

Status LargeRunner::Compare(const LargeCase& large, const std::vector<int64_t>& place,
                            const OutputTypeList& types, const LargeOperands& operands) {
  WSI_ASSIGN_OR_RETURN(const LargeWindow window, WindowAround(large, place));
  WSI_ASSIGN_OR_RETURN(const std::vector<Tensor> want, Reference(large, window, seed_));
  for (size_t o = 0; o < types.size(); ++o) {
    if (!types[o] || !window.outputs[o]) continue;
    WSI_ASSIGN_OR_RETURN(const Tensor got,
                         ReadBox(*backend_, *types[o], *window.outputs[o], operands.outputs[o]));
    const Status same = CheckClose(got, want[o], large.bound);
    if (!same.ok()) {
      return same.WithContext(fmt::format("output {} {} next to [{}]", o,
                                          types[o]->shape.ToString(), fmt::join(place, ", ")));
    }
  }
  return {};
}

Status LargeRunner::Check(const LargeCase& large, const OutputTypeList& types,
                          const LargeOperands& operands, int64_t mark) {
  for (const std::vector<int64_t>& place : PlacesOf(large, mark)) {
    WSI_RETURN_IF_ERROR(Compare(large, place, types, operands));
  }
  return {};
}

LargeOutcome LargeRunner::Run(const LargeCase& large, int64_t mark) {
  LargeOperands operands;
  const auto types = OutputTypes(large);
  if (!types.ok()) return {.status = types.status(), .skipped = {}};
  LargeOutcome outcome = Launch(large, *types, operands);
  if (!outcome.skipped.empty() || !outcome.status.ok()) return outcome;
  outcome.status = Check(large, *types, operands, mark);
  return outcome;
}

}  // namespace wsi
