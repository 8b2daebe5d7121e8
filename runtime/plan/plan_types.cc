#include "runtime/plan/plan_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace wsi {
namespace {

// Calls f(value) for each value that `instruction` reads, or that it writes.
template <typename F>
void ForEachRead(const plan::Instruction& instruction, F f) {
  for (const int32_t v : instruction.launch().inputs()) f(v);
  for (const int32_t v : instruction.collective().values()) f(v);
  if (instruction.has_copy() && instruction.copy().has_source()) f(instruction.copy().source());
}
template <typename F>
void ForEachWrite(const plan::Instruction& instruction, F f) {
  for (const int32_t v : instruction.launch().outputs()) f(v);
  for (const int32_t v : instruction.collective().values()) f(v);
  if (instruction.has_copy() && instruction.copy().has_result()) f(instruction.copy().result());
}

}  // namespace

DType ValueDType(const plan::Value& value) { return DTypeFromNumber(value.dtype()).value(); }

Shape ValueShape(const plan::Value& value) {
  return Shape::Make(std::span(value.dims().data(), static_cast<size_t>(value.dims_size())))
      .value();
}

Bytes ValueBytes(const plan::Value& value) {
  return ValueShape(value).ByteCount(ValueDType(value));
}

Attributes AttributesOf(const google::protobuf::RepeatedPtrField<plan::Attribute>& stored) {
  Attributes attributes;
  for (const plan::Attribute& a : stored) {
    switch (a.value_case()) {
      case plan::Attribute::kI: attributes.Set(a.name(), a.i()); break;
      case plan::Attribute::kF: attributes.Set(a.name(), a.f()); break;
      case plan::Attribute::kS: attributes.Set(a.name(), a.s()); break;
      case plan::Attribute::kInts:
        attributes.Set(a.name(),
                       std::vector<int64_t>(a.ints().values().begin(), a.ints().values().end()));
        break;
      case plan::Attribute::kFloats:
        attributes.Set(a.name(),
                       std::vector<double>(a.floats().values().begin(), a.floats().values().end()));
        break;
      case plan::Attribute::VALUE_NOT_SET: break;  // VerifyPlan refuses it.
    }
  }
  return attributes;
}

void StoreAttributes(const Attributes& attributes,
                     google::protobuf::RepeatedPtrField<plan::Attribute>* stored) {
  struct Store {
    plan::Attribute* a;
    void operator()(int64_t v) const { a->set_i(v); }
    void operator()(double v) const { a->set_f(v); }
    void operator()(const std::string& v) const { a->set_s(v); }
    void operator()(const std::vector<int64_t>& v) const {
      a->mutable_ints()->mutable_values()->Add(v.begin(), v.end());
    }
    void operator()(const std::vector<double>& v) const {
      a->mutable_floats()->mutable_values()->Add(v.begin(), v.end());
    }
  };
  for (const auto& [name, value] : attributes.entries()) {
    plan::Attribute* attribute = stored->Add();
    attribute->set_name(name);
    std::visit(Store{attribute}, value);
  }
}

std::string AttributeText(const plan::Attribute& a) {
  switch (a.value_case()) {
    case plan::Attribute::kI: return fmt::format("{}={}", a.name(), a.i());
    case plan::Attribute::kF: return fmt::format("{}={}", a.name(), a.f());
    case plan::Attribute::kS: return fmt::format("{}={:?}", a.name(), a.s());
    case plan::Attribute::kInts:
      return fmt::format("{}=[{}]", a.name(), fmt::join(a.ints().values(), ","));
    case plan::Attribute::kFloats:
      return fmt::format("{}=[{}]", a.name(), fmt::join(a.floats().values(), ","));
    case plan::Attribute::VALUE_NOT_SET: break;
  }
  return a.name();
}

int FindProgram(const plan::Plan& plan, std::string_view name) {
  for (int i = 0; i < plan.programs_size(); ++i) {
    if (plan.programs(i).name() == name) return i;
  }
  return -1;
}

std::string_view LaneName(plan::Lane lane) {
  switch (lane) {
    case plan::LANE_COMPUTE: return "compute";
    case plan::LANE_IN: return "in";
    case plan::LANE_OUT: return "out";
    case plan::LANE_COMM: return "comm";
    case plan::LANE_READ: return "read";
    case plan::LANE_WRITE: return "write";
    default: return "?";
  }
}

std::string_view PhaseName(plan::Phase phase) {
  switch (phase) {
    case plan::PHASE_FORWARD: return "forward";
    case plan::PHASE_BACKWARD: return "backward";
    case plan::PHASE_UPDATE: return "update";
    default: return "?";
  }
}

std::string_view TierName(plan::Tier tier) {
  switch (tier) {
    case plan::TIER_DEVICE: return "device";
    case plan::TIER_HOST: return "host";
    case plan::TIER_FILE: return "file";
    default: return "?";
  }
}

std::string_view KindName(const plan::Instruction& instruction) {
  switch (instruction.kind_case()) {
    case plan::Instruction::kLaunch: return instruction.launch().op();
    case plan::Instruction::kCopy: return "copy";
    case plan::Instruction::kCollective: return "collective";
    case plan::Instruction::kBarrier: return "barrier";
    case plan::Instruction::KIND_NOT_SET: break;
  }
  return "?";
}

std::vector<int64_t> InvertPermutation(std::span<const int64_t> permutation) {
  std::vector<int64_t> inverse(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) {
    inverse[static_cast<size_t>(permutation[i])] = static_cast<int64_t>(i);
  }
  return inverse;
}

int FindWriter(const plan::Plan& plan, const plan::Program& program, int32_t value) {
  const int32_t buffer = plan.values(value).buffer();
  int writer = -1;         // Of the value itself.
  int buffer_writer = -1;  // Of its buffer, before its first reader.
  bool read = false;
  for (int i = 0; i < program.instructions_size(); ++i) {
    const plan::Instruction& instruction = program.instructions(i);
    ForEachRead(instruction, [&](int32_t v) { read = read || v == value; });
    // A collective changes what is there.
    if (instruction.has_collective()) continue;
    const auto wrote_buffer = [&] {
      if (!read) buffer_writer = i;
    };
    if (instruction.has_copy() && instruction.copy().to() == buffer) wrote_buffer();
    ForEachWrite(instruction, [&](int32_t v) {
      if (v == value) writer = i;
      if (v >= 0 && plan.values(v).buffer() == buffer) wrote_buffer();
    });
  }
  return writer >= 0 ? writer : buffer_writer;
}

}  // namespace wsi
